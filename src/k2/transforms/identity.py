"""What a trade is called: the same name on every run, from the trade alone."""

from pyspark.sql import Column
from pyspark.sql import functions as F


def space_hash(space: Column) -> Column:
    """Return 16 hex digits for a space of numbers. MD5 spreads names here; it keeps no secret."""
    return F.substring(F.md5(space), 1, 16)


def identity_hash(space: Column, number: Column, fields: Column) -> Column:
    """Return 32 hex digits for a trade's identity; ``space`` is a :func:`space_hash`.

    With a number: the space, then the number, so that no two trades of a space can meet. Without:
    the MD5 of all fields.
    """
    by_number = F.concat(space, F.lpad(F.lower(F.hex(number)), 16, "0"))
    return F.when(number.isNotNull(), by_number).otherwise(F.md5(fields))


def message_id(exchange: str, timestamp: Column, identity: Column) -> Column:
    """Return ``{exchange}-{yyyymmdd of timestamp, UTC}-{identity}``."""
    day = F.replace(timestamp.cast("date").cast("string"), F.lit("-"), F.lit(""))
    return F.concat(F.lit(f"{exchange}-"), day, F.lit("-"), identity)
