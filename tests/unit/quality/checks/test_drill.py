"""The drill: a defect of each kind is planted, and reported once, by the check that is for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from k2.exchanges import EXCHANGES
from k2.quality.checks.catalogue import CHECKS
from k2.quality.checks.check import Check
from k2.quality.results import CheckRun, read_results
from k2.quality.run_checks import CheckRunner
from k2.settings import Settings

pytestmark = pytest.mark.unit

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
BINANCE, KRAKEN = EXCHANGES[0], EXCHANGES[1]
MINUTE = timedelta(minutes=1)
TIME = pa.timestamp("us", "UTC")
TRADE = pa.schema(
    [
        *((name, pa.string()) for name in ("message_id", "trade_id", "symbol", "exchange")),
        ("timestamp", TIME),
        ("price", pa.decimal128(38, 14)),
        ("trade_conditions", pa.list_(pa.string())),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("schema_id", pa.int32()),
        ("kafka_timestamp", TIME),
        ("is_late", pa.bool_()),
    ]
)
LETTER = pa.schema(
    [
        *((name, TRADE.field(name).type) for name in ("topic", "partition", "offset")),
        ("kafka_timestamp", TIME),
        ("error_reasons", pa.list_(pa.string())),
    ]
)


def trade(exchange: str, number: int, at: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "message_id": f"{exchange}-{number}",
        "trade_id": str(number),
        "symbol": "BTC-USDT",
        "exchange": exchange,
        "timestamp": at - timedelta(milliseconds=50),
        "price": Decimal("60000.00") + number % 7,
        "trade_conditions": [],
        "topic": f"market.crypto.trades.{exchange}.raw",
        "partition": 0,
        "offset": number,
        "schema_id": 1,
        "kafka_timestamp": at,
        "is_late": False,
    } | changes


@dataclass
class Lake:
    """Two hours of two healthy exchanges, a trade every ten seconds; defects are planted in it."""

    settings: Settings
    bronze: list[dict[str, Any]] = field(default_factory=list)
    silver: list[dict[str, Any]] = field(default_factory=list)
    gold: list[dict[str, Any]] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)

    def healthy(self) -> "Lake":
        for exchange in (BINANCE.name, KRAKEN.name):
            for number in range(720):
                row = trade(exchange, number, NOW - timedelta(seconds=10 * (719 - number)))
                for rows in self.trades:
                    rows.append(row)
        return self

    @property
    def trades(self) -> tuple[list[dict[str, Any]], ...]:
        return self.bronze, self.silver, self.gold

    def change(self, which: Callable[[dict[str, Any]], bool], **changes: Any) -> None:
        """Change rows in all tables; a change may be a function of the row."""
        for rows in self.trades:
            for place, row in enumerate(rows):
                if which(row):
                    made = {n: v(row) if callable(v) else v for n, v in changes.items()}
                    rows[place] = row | made

    def letter(self, exchange: str, number: int, at: datetime, reason: str) -> None:
        row = trade(exchange, number, at)
        self.bronze.append(row)
        self.letters.append({**{n: row[n] for n in LETTER.names[:4]}, "error_reasons": [reason]})

    def write(self) -> None:
        for exchange in (BINANCE.name, KRAKEN.name):
            topic = f"market.crypto.trades.{exchange}.raw"
            for prefix, rows, schema in (
                ("bronze", self.bronze, TRADE),
                ("silver", self.silver, TRADE),
                ("dlq", self.letters, LETTER),
            ):
                mine = [row for row in rows if row["topic"] == topic]
                self._store(f"{prefix}_{exchange}_trades", mine, schema)
        self._store("gold_trades", self.gold, TRADE)

    def _store(self, name: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        write_deltalake(self.settings.lake / name, pa.Table.from_pylist(rows, schema=schema))


def burst_of_bad_records(lake: Lake) -> None:
    for number in range(720, 780):
        lake.letter("kraken", number, NOW - timedelta(seconds=1), "not_positive_price")


def silent_market(lake: Lake) -> None:
    for rows in lake.trades:
        rows[:] = [r for r in rows if r["exchange"] != "kraken" or r["offset"] < 660]


def deleted_silver_row(lake: Lake) -> None:
    lake.silver.remove(next(r for r in lake.silver if r["message_id"] == "kraken-700"))


def doubled_gold_row(lake: Lake) -> None:
    lake.gold.append(next(r for r in lake.gold if r["message_id"] == "binance-700"))


def clock_step(lake: Lake) -> None:
    lake.change(
        lambda r: r["exchange"] == "kraken" and r["offset"] > 360,
        timestamp=lambda r: r["timestamp"] - timedelta(seconds=30),
    )


def late_burst(lake: Lake) -> None:
    lake.change(lambda r: r["exchange"] == "kraken" and r["offset"] > 600, is_late=True)


def price_jump(lake: Lake) -> None:
    lake.change(lambda r: r["kafka_timestamp"] > NOW - 2 * MINUTE, price=lambda r: r["price"] * 2)


def one_exchange_disagrees(lake: Lake) -> None:
    lake.change(lambda r: r["exchange"] == "kraken", price=lambda r: r["price"] * Decimal("1.2"))


def new_schema(lake: Lake) -> None:
    lake.change(lambda r: r["exchange"] == "kraken" and r["offset"] > 715, schema_id=9)


# defect → the checks that must tell of it, and no other may
DRILL: list[tuple[Callable[[Lake], None], set[str], str]] = [
    (burst_of_bad_records, {"dead-letters"}, "kraken"),
    (silent_market, {"freshness"}, "kraken"),
    (deleted_silver_row, {"balance", "balance-full"}, "kraken"),
    (doubled_gold_row, {"duplicates", "balance", "balance-full"}, "binance"),
    (clock_step, {"clock-drift"}, "kraken"),
    (late_burst, {"late-data"}, "kraken"),
    (price_jump, {"prices"}, "binance"),
    (one_exchange_disagrees, {"prices"}, "kraken"),
    (new_schema, {"schema-drift"}, "kraken"),
]


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings).healthy()


def run_all(lake: Lake, now: datetime = NOW) -> dict[str, CheckRun]:
    runner = CheckRunner(lake.settings, (BINANCE, KRAKEN), lambda: now)
    return {check.name: runner.run(check) for check in CHECKS}


def test_a_healthy_lake_passes_every_check(lake: Lake) -> None:
    lake.write()

    runs = run_all(lake)

    assert {name: run.status for name, run in runs.items()} == dict.fromkeys(runs, "passed"), [
        run.error or [f.message for f in run.violations] for run in runs.values()
    ]


@pytest.mark.parametrize(
    ("plant", "checks", "exchange"), DRILL, ids=[plant.__name__ for plant, _, _ in DRILL]
)
def test_a_defect_is_told_of_by_the_check_that_is_for_it(
    plant: Callable[[Lake], None], checks: set[str], exchange: str, lake: Lake
) -> None:
    plant(lake)
    lake.write()

    runs = run_all(lake)

    told = {name for name, run in runs.items() if run.status != "passed"}
    assert told == checks, {
        n: runs[n].error or [f.message for f in runs[n].violations] for n in told | checks
    }
    named = {finding.exchange for name in checks for finding in runs[name].violations}
    assert exchange in named


def test_a_run_looks_only_at_what_is_new(lake: Lake) -> None:
    burst_of_bad_records(lake)
    lake.write()
    runner = CheckRunner(lake.settings, (BINANCE, KRAKEN), lambda: NOW)
    letters = next(check for check in CHECKS if check.name == "dead-letters")
    first = runner.run(letters)

    runner.clock = lambda: NOW + timedelta(minutes=5)
    second = runner.run(letters)
    runner.clock = lambda: NOW + timedelta(minutes=10)
    third = runner.run(letters)

    assert first.status == "failed"
    assert second.findings[0].total < first.findings[0].total
    assert third.status == "passed"


def test_a_check_that_crashes_has_failed_and_is_run_over_the_same_again(lake: Lake) -> None:
    lake.write()

    def crash(*_: object) -> list[Any]:
        raise RuntimeError("no such thing")

    broken = Check("broken", "x", CHECKS[0].severity, timedelta(minutes=5), crash)
    runner = CheckRunner(lake.settings, (BINANCE, KRAKEN), lambda: NOW)

    run = runner.run(broken)

    assert run.status == "crashed"
    assert "no such thing" in run.error
    assert runner.due([broken]) == [broken]


def test_every_run_is_kept_findings_or_none(lake: Lake) -> None:
    lake.write()
    runs = run_all(lake)

    kept = read_results(lake.settings.lake, NOW - timedelta(hours=1))

    assert set(kept["check"].to_pylist()) == set(runs)
    assert set(kept["status"].to_pylist()) == {"passed"}
    assert kept.num_rows == sum(max(len(run.findings), 1) for run in runs.values())


def test_a_check_is_due_when_its_time_is_over(lake: Lake) -> None:
    lake.write()
    run_all(lake)
    runner = CheckRunner(lake.settings, (BINANCE, KRAKEN), lambda: NOW + timedelta(minutes=6))

    due = {check.name for check in runner.due(CHECKS)}

    assert "dead-letters" in due
    assert not due & {"duplicates", "late-data", "balance-full"}


def test_an_empty_home_has_nothing_to_complain_of(settings: Settings) -> None:
    runs = run_all(Lake(settings))

    assert {run.status for run in runs.values()} == {"passed"}
