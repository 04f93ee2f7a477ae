"""Silver trades of all exchanges to Gold trades. One row in, one row out."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from k2.exchanges.symbols import DOLLARS
from k2.tables.gold import GOLD_TRADES

# Of the instant itself: hour() would be that of the session's zone.
_UTC_HOUR = "cast(pmod(unix_seconds(timestamp) div 3600, 24) as int)"
_VALUE_TYPE = GOLD_TRADES.schema["trade_value_usd"].dataType


def to_gold(trades: DataFrame, lateness_minutes: int) -> DataFrame:
    """Add what analysts ask of every trade, and the partitions.

    ``trade_value_usd`` is price × quantity, exact (16 places), where the quote is a dollar or a
    dollar stablecoin, else null. ``is_late``: it reached the broker over ``lateness_minutes`` after
    it happened. ``exchange_date`` and ``exchange_hour`` are of ``timestamp``, UTC.
    """
    return with_derived(trades, lateness_minutes).select(*GOLD_TRADES.columns)


def with_derived(trades: DataFrame, lateness_minutes: int) -> DataFrame:
    """Add to all columns those that :func:`to_gold` derives; of what is no trade they are null."""
    value = (F.col("price") * F.col("quantity")).cast(_VALUE_TYPE)
    lateness = F.unix_micros("kafka_timestamp") - F.unix_micros("timestamp")
    return trades.select(
        "*",
        F.when(F.col("currency").isin(*DOLLARS), value).alias("trade_value_usd"),
        (lateness > lateness_minutes * 60_000_000).alias("is_late"),
        F.expr(_UTC_HOUR).alias("exchange_hour"),
    )
