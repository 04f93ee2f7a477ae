"""Turn Silver trades of all exchanges into Gold trades. One row in, one row out."""

import pyarrow as pa
import pyarrow.compute as pc

from k2.exchanges.symbols import DOLLARS
from k2.gold.dollar_value import dollar_value
from k2.gold.table import GOLD_TRADES

_INSTANT = pa.timestamp("us", "UTC")
_MINUTE_US = 60_000_000


def to_gold(trades: pa.Table, lateness_minutes: int) -> pa.Table:
    """Add the columns that only Gold has: dollar value, lateness, and the partitions.

    Args:
        trades: the columns of Silver that Gold has too.
        lateness_minutes: how long after it happened a trade counts as late.

    Returns:
        The columns of Gold. ``trade_value_usd`` is price × quantity, rounded half even to eight
        places, where the quote is a dollar or a dollar stablecoin, else null. ``is_late``: it reached the broker over
        ``lateness_minutes`` after it happened. ``exchange_date`` and ``exchange_hour`` are of
        ``timestamp``, UTC.
    """
    happened, arrived = (trades[name].cast(_INSTANT) for name in ("timestamp", "kafka_timestamp"))
    lateness = pc.subtract(arrived.cast(pa.int64()), happened.cast(pa.int64()))
    is_dollar = pc.is_in(trades["currency"], pa.array(DOLLARS, pa.string()))
    derived = {
        "trade_value_usd": dollar_value(trades["price"], trades["quantity"], is_dollar),
        "is_late": pc.greater(lateness, lateness_minutes * _MINUTE_US),
        "exchange_hour": pc.hour(happened).cast(pa.int32()),
    }
    there = {name: trades[name] for name in trades.column_names}
    return pa.table(there | derived).select(GOLD_TRADES.columns)
