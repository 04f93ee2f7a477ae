"""The defects of the drill, each with the check that is to report it: the only list of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from k2.exchanges.binance import BINANCE
from k2.exchanges.exchange import Exchange
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.quality.drill.planted_lake import PlantedLake, trade_row
from k2.silver.tables import silver_trades

_RECORDS = 60  # of a burst
_SECOND = timedelta(seconds=1)
_FAR = 1_000_000  # numbers that no trade of the plan has


@dataclass(frozen=True)
class Defect:
    """Something wrong that is planted in a lake at a time of the made clock.

    ``check`` is to report it of ``exchange``, and of ``symbol`` where it is of one market. Time to
    detection counts from ``grace`` after it was planted: a silence is none before it is long.
    """

    name: str
    title: str
    check: str
    exchange: Exchange
    plant: Callable[[PlantedLake, datetime], None]
    symbol: str = ""
    grace: timedelta = timedelta(0)


def _plant_bad_records(lake: PlantedLake, at: datetime) -> None:
    _shift_offsets(lake, KRAKEN, at, _RECORDS)
    first = lake.newest(KRAKEN, at)["offset"] + 2
    for place in range(_RECORDS):
        moment = at + place * timedelta(milliseconds=1)
        row = trade_row(KRAKEN, "BTC-USDT", _FAR + place, first + place, moment)
        lake.add_dead_letter(KRAKEN, row, "price_not_positive")


def _plant_silence(lake: PlantedLake, at: datetime) -> None:
    gone = [
        row["offset"]
        for row in lake.pending[silver_trades(KRAKEN).name]
        if row["symbol"] == "ETH-USDT" and row["kafka_timestamp"] > at
    ]
    lake.remove(KRAKEN, lambda row: row["symbol"] == "ETH-USDT" and row["kafka_timestamp"] > at)
    for row in lake.upcoming(KRAKEN, at):  # what is not sent takes no offset
        row["offset"] -= sum(offset < row["offset"] for offset in gone)


def _plant_resent_trades(lake: PlantedLake, at: datetime) -> None:
    """Trades that come again, and are not recognised: other records of the same numbers."""
    count = 5
    newest = lake.newest(BINANCE, at)
    _shift_offsets(lake, BINANCE, at, count)
    for place in range(count):
        number, offset = int(newest["trade_id"]) - place, newest["offset"] + 2 + place
        again = trade_row(BINANCE, "BTC-USDT", number, offset, newest["kafka_timestamp"])
        again["timestamp"] -= place * timedelta(seconds=10)
        again["message_id"] += "-again"
        lake.add_trade(BINANCE, again | {"kafka_timestamp": at})


def _plant_missing_range(lake: PlantedLake, at: datetime) -> None:
    """Numbers that are skipped: later trades have numbers that are 20 higher."""
    for row in lake.upcoming(KRAKEN, at, "BTC-USDT"):
        number = int(row["trade_id"]) + 20
        row |= {"trade_id": str(number), "source_sequence": number}
        row |= {"first_trade_id": number, "last_trade_id": number}


def _plant_deleted_row(lake: PlantedLake, at: datetime) -> None:
    lake.delete(silver_trades(KRAKEN), lake.newest(KRAKEN, at)["message_id"])


def _plant_doubled_row(lake: PlantedLake, at: datetime) -> None:
    lake.pending[GOLD_TRADES.name].append(lake.newest(BINANCE, at))


def _plant_clock_step(lake: PlantedLake, at: datetime) -> None:
    for row in lake.upcoming(KRAKEN, at):
        row["timestamp"] -= timedelta(seconds=30)


DRILL: tuple[Defect, ...] = (
    Defect("bad-records", "a burst of bad records", "dead-letters", KRAKEN, _plant_bad_records),
    Defect(
        "silent-market",
        "a market that falls silent",
        "freshness",
        KRAKEN,
        _plant_silence,
        symbol="ETH-USDT",
        grace=timedelta(minutes=5),
    ),
    Defect("resent-trades", "trades sent again", "duplicates", BINANCE, _plant_resent_trades),
    Defect(
        "missing-range",
        "a range of ids that is missing",
        "coverage",
        KRAKEN,
        _plant_missing_range,
        symbol="BTC-USDT",
    ),
    Defect("deleted-row", "a row deleted from Silver", "balance", KRAKEN, _plant_deleted_row),
    Defect("doubled-row", "a row doubled in Gold", "balance", BINANCE, _plant_doubled_row),
    Defect("clock-step", "a step of an exchange's clock", "clock-drift", KRAKEN, _plant_clock_step),
)


def _plant_late_trades(lake: PlantedLake, at: datetime) -> None:
    for row in lake.upcoming(KRAKEN, at):
        row["is_late"] = True


def _plant_price_jump(lake: PlantedLake, at: datetime) -> None:
    for exchange in (BINANCE, KRAKEN):
        for row in lake.upcoming(exchange, at):
            row["price"] *= 2


def _plant_other_prices(lake: PlantedLake, at: datetime) -> None:
    for row in lake.upcoming(KRAKEN, at):
        row["price"] *= Decimal("1.04")


def _plant_new_schema(lake: PlantedLake, at: datetime) -> None:
    for row in lake.upcoming(KRAKEN, at):
        row["schema_id"] = 9


# Found too, but not all within five minutes.
FURTHER: tuple[Defect, ...] = (
    Defect("late-trades", "trades that come late", "late-data", KRAKEN, _plant_late_trades),
    Defect(
        "price-jump", "prices that double", "prices", BINANCE, _plant_price_jump, symbol="BTC-USDT"
    ),
    Defect(
        "other-prices",
        "an exchange at other prices",
        "prices",
        KRAKEN,
        _plant_other_prices,
        symbol="BTC-USDT",
    ),
    Defect("new-schema", "records of a new schema", "schema-drift", KRAKEN, _plant_new_schema),
)


def _shift_offsets(lake: PlantedLake, exchange: Exchange, after: datetime, by: int) -> None:
    """Make room for records: those that come later get higher offsets."""
    for row in lake.upcoming(exchange, after):
        row["offset"] += by
