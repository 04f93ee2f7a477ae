"""What the quality checks cost at a steady rate: ``python -m benchmarks.quality_cost``.

Without Spark and Kafka: a lake of trades at 2,000 a second, in files of a minute each, a few minutes into
an hour, when checks cost most: the hour before is full, and late trades still touch it. Each check runs as
it does in the service, over what came since its last run, and its CPU time is counted; so is that of the
process that the service starts for all checks of a period. Then the lake holds four times as much of
earlier trades: a check that reads only what is new costs the same.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import orjson
import psutil
import pyarrow as pa
from deltalake import write_deltalake

from k2.bronze.table import bronze_trades
from k2.exchanges.binance import BINANCE
from k2.gold.table import GOLD_TRADES
from k2.quality.checks.catalogue import CHECKS
from k2.quality.checks.check import Check
from k2.quality.run_checks import CheckRunner
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.delta import ensure_table
from k2.storage.table import Table

_RATE = 2_000
_FILE_SECONDS = 60
_MARKETS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT")
_DAY_SECONDS = 86_400
_START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
_EXCHANGES = (BINANCE,)
_DAILY = timedelta(days=1)
_LATE_ONE_OF = 500  # trades; it happened an hour before its neighbours
_NEWEST = 4  # minutes of trades that coverage has not seen: it runs every four
_BASE = 10**8  # the first offset; earlier trades have those before it


@dataclass
class Cost:
    """One check: CPU seconds of a run, how often an hour, and its share of a core."""

    check: str
    runs_an_hour: float
    cpu_seconds: list[float]
    share: float


def main() -> int:
    """Measure, print, keep; 1 when the checks cost more than a tenth of a core."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=65, help="of trades in the lake")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=int, default=4, help="times as much, for the second half")
    arguments = parser.parse_args()
    small = _of_a_lake(arguments.minutes, 0, arguments.rounds)
    large = _of_a_lake(arguments.minutes, arguments.growth, arguments.rounds)
    start = _process_start(arguments.rounds)
    runs = sum({cost.runs_an_hour for cost in small})  # checks of one period share a process
    total, grown = sum(c.share for c in small), sum(c.share for c in large)
    starting = median(start) * runs / 3600
    report = {
        "rate": _RATE,
        "minutes": arguments.minutes,
        "share_of_a_core": total,
        "share_of_process_starts": starting,
        "process_start_cpu_seconds": start,
        f"share_with_{arguments.growth + 1}_times_the_table": grown,
        "checks": [asdict(cost) for cost in small],
        "checks_grown": [asdict(cost) for cost in large],
        "machine": f"{platform.machine()}, {psutil.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
    }
    Path("reports").mkdir(exist_ok=True)
    Path("reports/quality_cost.json").write_text(json.dumps(report, indent=2))
    _print(small, large, report)
    return int(total + starting > 0.1)


def _of_a_lake(minutes: int, growth: int, rounds: int) -> list[Cost]:
    """What the checks cost on a new lake that holds ``growth`` times as much of earlier trades."""
    with tempfile.TemporaryDirectory(prefix="k2-quality-cost-") as folder:
        settings = Settings.load(home=Path(folder) / "home", log_level="error")
        if earlier := minutes * growth:
            before = _START - timedelta(minutes=earlier) - _DAILY
            _fill(settings, before, earlier, _BASE - earlier * 60 * _RATE)
        seen = _fill(settings, _START, minutes - _NEWEST, _BASE)
        at = datetime.now(UTC)
        end = _fill(settings, seen, _NEWEST, _BASE + (minutes - _NEWEST) * 60 * _RATE)
        return [_measure(settings, check, end, at, rounds) for check in CHECKS if check.every]


def _measure(
    settings: Settings, check: Check, end: datetime, seen_at: datetime, rounds: int
) -> Cost:
    found = []
    for number in range(rounds + 1):
        _pretend_last_run(settings, check, end, seen_at, is_first=number == 0)
        before = time.process_time()
        run = CheckRunner(settings, _EXCHANGES, lambda: end).run(check)
        if run.error:
            raise SystemExit(f"{check.name} crashed: {run.error}")
        if number:  # the first loads what all share, and lets coverage see what is older
            found.append(time.process_time() - before)
    runs = timedelta(hours=1) / check.every
    cost = Cost(check.name, runs, found, median(found) * runs / 3600)
    print(f"{check.name}: {median(found):.2f} CPU s a run, {cost.share:.2%}", file=sys.stderr)
    return cost


def _pretend_last_run(
    settings: Settings, check: Check, end: datetime, seen_at: datetime, is_first: bool
) -> None:
    folder = settings.run / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    since = end - check.every
    if check.name == "coverage":
        # It goes by when files were written, and takes those of five minutes before its last run again.
        since = _START - 100 * _DAILY if is_first else seen_at + timedelta(minutes=5)
    (folder / f"{check.name}.json").write_bytes(orjson.dumps({"until": since.isoformat()}))


def _process_start(rounds: int) -> list[float]:
    """CPU seconds of a process that runs a check which finds nothing to do."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "lake").mkdir()
        for _ in range(rounds):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "k2", "quality", "run", "late-data", "--json"]
            environment = {**os.environ, "K2_HOME": folder}
            subprocess.run(command, env=environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return found


def _fill(settings: Settings, start: datetime, minutes: int, base: int) -> datetime:
    for number, rows in enumerate(_batches(start, minutes, base)):
        for table in (bronze_trades(BINANCE), silver_trades(BINANCE), GOLD_TRADES):
            _append(settings, table, rows)
        if number % 5 == 0:
            print(f"filled {number * _FILE_SECONDS} s", file=sys.stderr)
    return start + timedelta(minutes=minutes)


def _append(settings: Settings, table: Table, rows: pa.Table) -> None:
    stored = ensure_table(settings.lake, table)
    arrays = [
        (
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
        )
        for field in table.row_schema
    ]
    write_deltalake(stored, pa.table(arrays, schema=table.row_schema), mode="append")


def _batches(start: datetime, minutes: int, base: int) -> Iterator[pa.Table]:
    size = _RATE * _FILE_SECONDS
    generator = np.random.default_rng(int(start.timestamp()))
    for first in range(0, minutes * 60 * _RATE, size):
        yield _batch(start, base + first, first, size, generator)


def _batch(
    start: datetime, offset: int, first: int, size: int, generator: np.random.Generator
) -> pa.Table:
    place = np.arange(first, first + size)
    at = int(start.timestamp() * 1e6) + (place + 1) * (1_000_000 // _RATE)
    market = place % len(_MARKETS)
    number = (offset + np.arange(size)) // len(_MARKETS)
    late = place % _LATE_ONE_OF == 0
    event = at - 50_000 - late * 3_600_000_000
    happened = pa.array(event).cast(pa.timestamp("us", "UTC"))
    broker = pa.array(at).cast(pa.timestamp("us", "UTC"))
    symbols = pa.array(_MARKETS).take(pa.array(market))
    ids = [f"binance-{start:%Y%m%d}-{m:016x}{n:016x}" for m, n in zip(market, number, strict=True)]
    prices = pa.array(np.round(60_000 + generator.normal(0, 5, size), 2)).cast(
        pa.decimal128(38, 14)
    )
    same = {
        "exchange": "binance",
        "asset_class": "crypto",
        "currency": "USDT",
        "side": "BUY",
        "instrument_type": "spot",
        "topic": BINANCE.topic,
        "vendor_data": '{"exchange_symbol":"BTCUSDT"}',
    }
    columns = {
        "message_id": pa.array(ids),
        "trade_id": pa.array(number).cast(pa.string()),
        "symbol": symbols,
        "timestamp": happened,
        "price": prices,
        "quantity": pa.array(np.full(size, 0.01)).cast(pa.decimal128(38, 10)),
        "trade_conditions": pa.array([[]] * size, pa.list_(pa.string())),
        "ingestion_timestamp": broker,
        "trade_count": pa.array(np.ones(size, np.int64)),
        "first_trade_id": pa.array(number),
        "last_trade_id": pa.array(number),
        "partition": pa.array(np.zeros(size, np.int32)),
        "offset": pa.array(offset + np.arange(size)),
        "schema_id": pa.array(np.ones(size, np.int32)),
        "kafka_timestamp": broker,
        "is_late": pa.array(late),
        "exchange_date": happened.cast(pa.date32()),
        "exchange_hour": pa.array((event // 3_600_000_000 % 24).astype(np.int32)),
        "key": symbols.cast(pa.binary()),
        "value": pa.array([b"\0" * 60] * size),
        "ingested_at": broker,
        "ingest_date": broker.cast(pa.date32()),
    }
    texts = {
        name: pa.array([text]).take(pa.array(np.zeros(size, int))) for name, text in same.items()
    }
    return pa.table({**columns, **texts})


def _print(small: list[Cost], large: list[Cost], report: dict[str, object]) -> None:
    print(f"{'check':14} {'CPU s a run':>20} {'an hour':>8} {'of a core':>10} {'grown':>8}")
    for one, other in zip(small, large, strict=True):
        spread = (
            f"{median(one.cpu_seconds):.2f} ({min(one.cpu_seconds):.2f}–{max(one.cpu_seconds):.2f})"
        )
        print(
            f"{one.check:14} {spread:>20} {one.runs_an_hour:8.2f} {one.share:10.2%} {other.share:8.2%}"
        )
    for name, value in report.items():
        if name.startswith("share"):
            print(f"{name}: {value:.2%}")
    print(report["machine"])


if __name__ == "__main__":
    sys.exit(main())
