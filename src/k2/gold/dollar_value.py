"""The value of a trade in dollars: price × quantity, rounded half even to eight places."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from k2.silver.decimals import NARROW, narrowed

# Eight places are a millionth of a cent; more would make Gold a sixth larger and say nothing.
VALUE = pa.decimal128(38, 8)
_UNIT = Decimal(1).scaleb(-VALUE.scale)
_EXACTLY = Context(prec=80, rounding=ROUND_HALF_EVEN)
_LIMIT = Decimal(10) ** (VALUE.precision - VALUE.scale)


def dollar_value(
    prices: pa.ChunkedArray, quantities: pa.ChunkedArray, is_dollar: pa.ChunkedArray
) -> pa.Array:
    """Return ``VALUE`` where ``is_dollar``; null elsewhere, and where the value has too many digits."""
    price, quantity = narrowed(prices), narrowed(quantities)
    if price is not None and quantity is not None:
        return pc.if_else(is_dollar, _rounded(price, quantity), None)
    fits = pc.and_(_fits(prices), _fits(quantities))
    small = pc.if_else(fits, prices, Decimal(0)), pc.if_else(fits, quantities, Decimal(0))
    values = _rounded(*(numbers.cast(NARROW) for numbers in small))
    at = pc.and_(is_dollar, pc.invert(fits)).combine_chunks()
    rows = np.flatnonzero(at.to_numpy(zero_copy_only=False))
    others = [
        _exact(price, quantity)
        for price, quantity in zip(
            prices.take(rows).to_pylist(), quantities.take(rows).to_pylist(), strict=True
        )
    ]
    whole = pc.replace_with_mask(values.combine_chunks(), at, pa.array(others, VALUE))
    return pc.if_else(is_dollar, whole, None)


def _rounded(prices: pa.ChunkedArray, quantities: pa.ChunkedArray) -> pa.ChunkedArray:
    product = pc.multiply(prices, quantities)  # all of its 16 places, and 37 digits
    return pc.round(product, ndigits=VALUE.scale, round_mode="half_to_even").cast(VALUE)


def _fits(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether each number is one of ``NARROW``."""
    wide = pa.decimal128(numbers.type.precision, NARROW.scale)
    cut = numbers.cast(wide, safe=False).cast(numbers.type)
    limit = Decimal(10) ** (NARROW.precision - NARROW.scale)
    return pc.and_(pc.equal(cut, numbers), pc.less(numbers, limit))


def _exact(price: Decimal, quantity: Decimal) -> Decimal | None:
    value = _EXACTLY.multiply(price, quantity).quantize(_UNIT, context=_EXACTLY)
    return value if value < _LIMIT else None
