"""Numbers from text, exact or not at all: a float or a rounding would be a different trade.

Nearly all prices are plain: digits, a point, no more places than are kept. SQL casts these; what else
is a number is rare and worked out one by one.
"""

import re
from collections.abc import Iterable
from decimal import Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

# As k2.storage.columns.PRICE: ten digits before the point and eight after it.
NUMBER = pa.decimal128(18, 8)
_WHOLE, _PLACES = 10, 8
_PLAIN = f"'[0-9]{{1,{_WHOLE}}}([.][0-9]{{1,{_PLACES}}})?'"

# No number of an exchange is longer. Digits of other scripts are no digits here.
_LONGEST = 128
_TEXT = re.compile(r"\s*([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_EXACTLY = Context(prec=_LONGEST)
_UNIT = Decimal(1).scaleb(-_PLACES)


def is_plain(text: str) -> str:
    """SQL that says whether a text, an expression, is a plain number, which a cast takes exactly."""
    return f"regexp_full_match({text}, {_PLAIN})"


def with_others(plain: pa.ChunkedArray, others: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return numbers (decimal(18,8)) and their signs (int8: -1, 0 or 1).

    Args:
        plain: the numbers of plain texts, null where the text is not plain.
        others: the texts that are not plain, null elsewhere.

    Where a text is a number that does not fit exactly, the number is null and the sign is not; where
    it is none, such as a word, both are. Exponents (``1E-8``) are numbers.
    """
    numbers, texts = (column.combine_chunks() for column in (plain, others))
    signs = pc.cast(pc.not_equal(numbers, Decimal(0)), pa.int8())
    if texts.null_count == len(texts):
        return numbers, signs
    rows = pc.indices_nonzero(pc.is_valid(texts))
    worked_out = list(map(_exact, texts.take(rows).to_pylist()))
    at = pc.is_valid(texts)
    return (
        pc.replace_with_mask(numbers, at, _column(worked_out, 0, NUMBER)),
        pc.replace_with_mask(signs, at, _column(worked_out, 1, pa.int8())),
    )


def _exact(text: str) -> tuple[Decimal | None, int | None]:
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
    if number.adjusted() >= _WHOLE or number.adjusted() < -_PLACES:
        return None, sign
    kept = number.quantize(_UNIT, context=_EXACTLY)
    return (kept if kept == number else None), sign


def _column(pairs: Iterable[tuple[object, ...]], place: int, kind: pa.DataType) -> pa.Array:
    return pa.array([pair[place] for pair in pairs], kind)
