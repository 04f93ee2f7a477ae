"""Compare recomputed bars with the stored ones: which changed, and their next revision number."""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from k2.bars.table import GOLD_OHLCV, TIMEFRAMES
from k2.sql import utc_database

_KEY = ", ".join(GOLD_OHLCV.key)
_NUMBERS = (
    *("open", "high", "low", "close", "volume", "quote_volume", "vwap", "trade_count"),
    *("taker_buy_volume", "instrument_type"),
)
_CHANGES = f"""
with compared as (
    select {_KEY}, {", ".join(f"fresh.{name}" for name in _NUMBERS)},
        stored.revision as old_revision, stored.is_final as was_final,
        {" or ".join(f"fresh.{name} is distinct from stored.{name}" for name in _NUMBERS)} as differs
    from fresh left join stored using ({_KEY})
    union all
    select {_KEY}, {", ".join(_NUMBERS)}, revision, is_final, false
    from stored anti join fresh using ({_KEY})
), judged as (
    select compared.*, coalesce(was_final, false) or
        coalesce(epoch_us(bar_start) + seconds * 1_000_000 <= watermark_us, false) as is_final
    from compared join lengths using (timeframe) left join watermarks using (exchange)
)
select {_KEY}, {", ".join(_NUMBERS)}, is_final,
    case when old_revision is null then 0 else old_revision + differs::bigint end as revision,
    cast(bar_start as date) as bar_date
from judged
where old_revision is null or differs or is_final <> was_final
"""  # noqa: S608 — our own columns only

_COLUMNS = ", ".join(GOLD_OHLCV.columns)
_MERGED = f"""
select {_COLUMNS} from changed
union all
select {_COLUMNS} from stored
    semi join changed using ({", ".join(GOLD_OHLCV.partitioned_by)})
    anti join changed using ({_KEY})
"""  # noqa: S608 — our own columns only


def changed_bars(fresh: pa.Table, stored: pa.Table, watermarks: Mapping[str, datetime]) -> pa.Table:
    """Return the bars to write: those of ``fresh`` that differ from ``stored``, and those now final.

    ``watermarks`` has each exchange's watermark: a bar that ended by then is final and
    stays so. A new bar has revision 0; a stored one whose numbers change gets the next. Becoming
    final is no revision.
    """
    database = utc_database()
    database.register("fresh", fresh)
    database.register("stored", stored)
    database.register(
        "lengths", pa.table({"timeframe": list(TIMEFRAMES), "seconds": list(TIMEFRAMES.values())})
    )
    database.register(
        "watermarks",
        pa.table(
            {
                "exchange": pa.array(watermarks.keys(), pa.string()),
                "watermark_us": pa.array(watermarks.values(), pa.timestamp("us", "UTC")).cast(
                    pa.int64()
                ),
            }
        ),
    )
    return database.sql(_CHANGES).select(", ".join(GOLD_OHLCV.columns)).to_arrow_table()


def with_changes(stored: pa.Table, changed: pa.Table) -> pa.Table:
    """Return all bars of the partitions of ``changed``: the changed ones, and the other stored ones."""
    database = utc_database()
    database.register("stored", stored)
    database.register("changed", changed)
    return database.sql(_MERGED).to_arrow_table()
