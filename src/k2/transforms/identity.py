"""What a trade is called: the same name on every run, from the trade alone."""

from pyspark.sql import Column
from pyspark.sql import functions as F


def space_hash(space: Column) -> Column:
    """Return 16 hex digits for a space of numbers: its xxHash64, a tenth of a digest's cost."""
    return F.lpad(F.lower(F.hex(F.xxhash64(space))), 16, "0")


def identity_hash(space: Column, number: Column, fields: Column) -> Column:
    """Return 32 hex digits for a trade's identity; ``space`` is a :func:`space_hash`.

    With a number: the space, then the number, so that no two trades of a space can meet. Without:
    the MD5 of all fields, which spreads them here and keeps no secret.
    """
    by_number = F.concat(space, F.lpad(F.lower(F.hex(number)), 16, "0"))
    return F.when(number.isNotNull(), by_number).otherwise(F.md5(fields))


def message_id(exchange: str, timestamp: Column, identity: Column) -> Column:
    """Return ``{exchange}-{yyyymmdd of timestamp, UTC}-{identity}``; null beyond four-digit years."""
    date = timestamp.cast("date")
    year = F.year(date)
    number = F.when(year.between(0, 9999), year * 10_000 + F.month(date) * 100 + F.dayofmonth(date))
    day = F.lpad(number.cast("string"), 8, "0")
    return F.concat(F.lit(f"{exchange}-"), day, F.lit("-"), identity)
