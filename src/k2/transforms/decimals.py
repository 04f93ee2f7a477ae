"""Numbers from text, exact or not at all: a float or a rounding would be a different trade."""

from pyspark.sql import Column
from pyspark.sql import functions as F

# Digits that decimal(38,18) can hold before and after the point.
_WIDE = "decimal(38,18)"
_PLACES = 18
_MANTISSA = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
_NUMBER = _MANTISSA + r"([eE][+-]?[0-9]+)?\s*$"
# What is worth a cast: Spark works out ten to the power of an exponent, however large.
_SMALL_NUMBER = _MANTISSA + r"([eE][+-]?[0-9]{1,3})?\s*$"
_LONGEST = 128


def exact(text: Column) -> Column:
    """Return the number that ``text`` is, as decimal(38,18); null when that would not be exact.

    Exponents (``1E-8``) are numbers. Null, words and numbers that do not fit give null.
    """
    # 19 characters without an exponent cannot hold more than 18 places, so nothing is rounded.
    has_exponent = F.contains(text, F.lit("e")) | F.contains(text, F.lit("E"))
    is_short = (F.length(text) <= _PLACES + 1) & ~has_exponent
    is_plain = (F.length(text) <= _LONGEST) & text.rlike(_SMALL_NUMBER)
    return F.when(is_short | (is_plain & (_places(text) <= _PLACES)), text.try_cast(_WIDE))


def is_number_that_does_not_fit(text: Column, number: Column) -> Column:
    """Tell whether ``text`` is a number although :func:`exact` gave none."""
    return F.coalesce(number.isNull() & text.rlike(_NUMBER), F.lit(False))


def _places(text: Column) -> Column:
    """Digits after the point once the exponent is applied, without trailing zeros."""
    fraction = F.rtrim(F.regexp_extract(text, r"\.([0-9]*)", 1), F.lit("0"))
    exponent = F.regexp_extract(text, r"[eE]([+-]?[0-9]{1,3})\s*$", 1).try_cast("int")
    return F.length(fraction) - F.coalesce(exponent, F.lit(0))
