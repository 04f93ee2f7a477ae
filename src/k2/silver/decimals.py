"""Convert text to decimals, exactly or not at all: a float or a rounded number would be a different trade.

Nearly all numbers are plain: digits, a point, no more places than the type has. Arrow casts these; other
forms, such as exponents, are rare and converted one by one. At most 18 digits may stand before the point, so
that the sum of a day's trades fits its type.
"""

import re
from collections.abc import Iterable
from decimal import Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

# As k2.storage.columns.PRICE and QUANTITY. Ten places of quantities are more than any exchange has;
# prices of tokens have thirteen.
TYPES = {"price": pa.decimal128(38, 14), "quantity": pa.decimal128(38, 10)}
MAX_WHOLE_DIGITS = 18

# What fits into 64 bits: numbers of nearly all markets, with which reckoning is cheap.
NARROW = pa.decimal128(18, 8)

# No number of an exchange is longer. Digits of other scripts are no digits here.
_LONGEST = 128
_TEXT = re.compile(r"\s*([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_EXACTLY = Context(prec=_LONGEST)


def from_text(name: str, texts: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return the numbers and their signs (int8: -1, 0 or 1); of a null both are null.

    ``name`` is the column, which determines the numbers' type. Of a number that does not fit exactly, the
    number is null and the sign is not; of a text that is no number, both are null. Exponents (``1E-8``) are
    numbers.
    """
    kind = TYPES[name]
    whole = texts.cast(pa.string()).combine_chunks()
    pattern = rf"\A[0-9]{{1,{MAX_WHOLE_DIGITS}}}([.][0-9]{{1,{kind.scale}}})?\z"
    is_plain = pc.match_substring_regex(whole, pattern)
    numbers = pc.if_else(is_plain, whole, None).cast(kind)
    signs = pc.cast(pc.not_equal(numbers, Decimal(0)), pa.int8())
    is_other = pc.fill_null(pc.invert(is_plain), False)
    rows = pc.indices_nonzero(is_other)
    if not len(rows):
        return numbers, signs
    worked_out = [_exact(text, kind.scale) for text in whole.take(rows).to_pylist()]
    return (
        pc.replace_with_mask(numbers, is_other, _column(worked_out, 0, kind)),
        pc.replace_with_mask(signs, is_other, _column(worked_out, 1, pa.int8())),
    )


def narrowed(numbers: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return the numbers as ``NARROW``; None if one of them does not fit exactly."""
    try:
        return numbers.cast(NARROW)
    except pa.ArrowInvalid:
        return None


def _exact(text: str, places: int) -> tuple[Decimal | None, int | None]:
    """The number and the sign of a text."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None, None
    minus, mantissa, exponent = found.groups()
    if not mantissa.strip("0."):
        return Decimal(0), 0
    sign = -1 if minus == "-" else 1
    # Nobody works out ten to the power of whatever somebody writes.
    if len(mantissa) > _LONGEST or len((exponent or "e0").lstrip("eE+-0")) > 3:
        return None, sign
    number = Decimal(text.strip())
    if number.adjusted() >= MAX_WHOLE_DIGITS or number.adjusted() < -places:
        return None, sign
    kept = number.quantize(Decimal(1).scaleb(-places), context=_EXACTLY)
    return (kept if kept == number else None), sign


def _column(pairs: Iterable[tuple[object, ...]], place: int, kind: pa.DataType) -> pa.Array:
    return pa.array([pair[place] for pair in pairs], kind)
