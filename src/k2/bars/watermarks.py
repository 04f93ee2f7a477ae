"""Each exchange's newest trade, and the time up to which its bars are final."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
from deltalake import DeltaTable

from k2.bars.counting import COUNTED, counted
from k2.bars.table import GOLD_OHLCV
from k2.exchanges import EXCHANGES
from k2.gold.table import GOLD_TRADES
from k2.storage.delta import open_table
from k2.storage.file_pruning import Condition
from k2.storage.scan import scan


@dataclass(frozen=True)
class ExchangeTime:
    """An exchange's ``newest`` trade; every stored bar that ended by ``final_until`` is final."""

    newest: datetime
    final_until: datetime


def exchange_times(lake: Path, lateness: timedelta) -> dict[str, ExchangeTime]:
    """Read the times of all exchanges that have bars; this opens few files, however large the table is."""
    bars, gold = open_table(lake, GOLD_OHLCV), open_table(lake, GOLD_TRADES)
    if bars is None or gold is None:
        return {}
    times = {}
    for exchange, day in _newest_starts(bars, "1d").items():
        # The newest minute with a trade is in the newest day with one.
        minute = _newest_starts(bars, "1m", day.date())[exchange]
        newest = _newest_trade(gold, exchange, minute)
        # Whoever wrote that minute's bar had seen a trade of that minute, perhaps not the newest.
        times[exchange] = ExchangeTime(newest, minute - lateness)
    return times


def _newest_starts(
    bars: DeltaTable, timeframe: str, day: date | None = None
) -> dict[str, datetime]:
    wanted: list[Condition] = [("timeframe", "=", timeframe)]
    if day is not None:
        wanted.append(("bar_date", "=", day))
    starts = scan(bars, ["exchange", "bar_start"], wanted).table()
    newest = starts.group_by("exchange").aggregate([("bar_start", "max")])
    return {row["exchange"]: row["bar_start_max"].astimezone(UTC) for row in newest.to_pylist()}


def _newest_trade(gold: DeltaTable, exchange: str, minute: datetime) -> datetime:
    wanted: list[Condition] = [
        ("exchange_date", "=", minute.date()),
        ("exchange_hour", "=", minute.hour),
        ("exchange", "=", exchange),
        ("timestamp", ">=", minute),
    ]
    trades = scan(gold, ["timestamp", *COUNTED], wanted).table()
    # A print that makes no bar's price does not make one final either.
    has_price = pc.is_valid(counted(trades, EXCHANGES)["price"])
    newest: datetime | None = pc.max(trades["timestamp"].filter(has_price)).as_py()
    return minute if newest is None else newest.astimezone(UTC)
