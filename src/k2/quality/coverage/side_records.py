"""Duplicates and dead letters by market and hour: records beside the trades, by the broker's time."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.exchanges.market_index import MarketIndex
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions
from k2.sql import query
from k2.storage.file_pruning import Condition
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import scan_table

NO_MARKET = ""  # of records of which nobody can say which market they are of

_PLACE = '"partition", "offset"'


@dataclass(frozen=True)
class SideRecords:
    """One market's hour: records that are no further trade."""

    duplicates: int = 0
    dead_letters: int = 0


def side_records(
    settings: Settings, exchange: Exchange, hour: datetime, symbols: frozenset[str]
) -> dict[str, SideRecords]:
    """Return the duplicates and the open dead letters of an hour of broker time, by market.

    A record's key names its market; ``symbols``, which have trades in that hour, decide where a name
    is of several markets. An id that the exchange gave to no trade is no dead letter here.
    """
    in_hour: list[Condition] = [
        ("kafka_timestamp", ">=", hour),
        ("kafka_timestamp", "<", hour + timedelta(hours=1)),
    ]
    place = ["partition", "offset"]
    lake = settings.lake
    double = scan_table(lake, duplicates(exchange), place, in_hour)
    dead = scan_table(lake, dead_letters(exchange), [*place, "error_type"], in_hour)
    if not double.files and not dead.files:
        return {}
    resolved = scan_table(lake, resolutions(exchange), place, in_hour)
    bronze = scan_table(lake, bronze_trades(exchange), [*place, "key"], in_hour)
    with named_read_errors((*double.files, *dead.files, *resolved.files, *bronze.files)):
        found = query(f"""
            with side as (
                select {_PLACE}, true as is_double from ({double.sql})
                union all
                select {_PLACE}, false from ({dead.sql}) anti join ({resolved.sql}) using ({_PLACE})
                where error_type <> 'filler'
            )
            select try(decode(key)) as name, count_if(is_double) as double,
                count_if(not is_double) as dead
            from side left join ({bronze.sql}) using ({_PLACE}) group by all
            """).to_pylist()  # noqa: S608 — our own SQL
    return _by_symbol(settings, exchange, hour, symbols, found)


def _by_symbol(
    settings: Settings,
    exchange: Exchange,
    hour: datetime,
    symbols: frozenset[str],
    found: list[dict[str, Any]],
) -> dict[str, SideRecords]:
    if not found:
        return {}
    index = MarketIndex(exchange, InstrumentLists(settings).current(exchange.name))
    double: Counter[str] = Counter()
    dead: Counter[str] = Counter()
    for row in found:
        symbol = _symbol(index, exchange, hour, symbols, row["name"])
        double[symbol] += row["double"]
        dead[symbol] += row["dead"]
    return {symbol: SideRecords(double[symbol], dead[symbol]) for symbol in double | dead}


def _symbol(
    index: MarketIndex,
    exchange: Exchange,
    hour: datetime,
    symbols: frozenset[str],
    name: str | None,
) -> str:
    if not name:
        return NO_MARKET
    moment = int(hour.astimezone(UTC).timestamp() * 1_000_000)
    meant = {
        meaning.symbol
        for market in exchange.markets
        for meaning in index.meanings(name, market)
        if meaning.symbol is not None
        and (meaning.since is None or meaning.since <= moment)
        and (meaning.until is None or moment < meaning.until)
    }
    traded = meant & symbols
    candidates = traded if traded else meant
    return candidates.pop() if len(candidates) == 1 else NO_MARKET
