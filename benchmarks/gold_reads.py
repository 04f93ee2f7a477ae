"""What analysts ask of ten million Gold trades: K2's Lake beside ClickHouse, on the same rows.

The trades are made here: two days of twenty markets, in K2's own files, once as a stream leaves them and
once compacted. ClickHouse (``chdb``, dependency group ``clickhouse``) has them in a MergeTree that is
sorted by market and time. Both give Arrow. A run whose answers differ has no figures.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

import k2
from k2.gold.table import GOLD_TRADES
from k2.storage.delta import ensure_table
from k2.storage.exact_types import rebuilt
from k2.storage.maintenance.compaction import compact, small_files
from k2.storage.parquet_encoding import QUICK, grouped, layout

_HOURS, _FILES_AN_HOUR = 48, 10
_START = datetime(2026, 7, 7, tzinfo=UTC)
_MARKETS = [
    (exchange, f"{base}-{quote}")
    for exchange, quote in (("binance", "USDT"), ("kraken", "USD"))
    for base in ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "AVAX", "LINK", "DOT", "LTC")
]
_MARKET = ("binance", "BTC-USDT")  # the busiest: a quarter of all trades
_HOUR = (_START + timedelta(hours=9), _START + timedelta(hours=10))
_DAY = (_START, _START + timedelta(days=1))
_COLUMNS = ["timestamp", "side", "price", "quantity"]
_ROUNDS = 15

_K2_BARS = """
    select time_bucket(interval '1 minute', timestamp) as minute, arg_min(price, timestamp) as open,
        max(price) as high, min(price) as low, arg_max(price, timestamp) as close,
        sum(quantity) as volume, count(*) as trades
    from gold
    where exchange_date = '{day:%Y-%m-%d}' and exchange = '{exchange}' and symbol = '{symbol}'
    group by minute order by minute
"""
_CLICKHOUSE_BARS = """
    select toStartOfMinute(timestamp) as minute, argMin(price, timestamp) as open,
        max(price) as high, min(price) as low, argMax(price, timestamp) as close,
        sum(quantity) as volume, count() as trades
    from gold
    where timestamp >= '{day:%Y-%m-%d} 00:00:00' and timestamp < '{end:%Y-%m-%d} 00:00:00'
        and exchange = '{exchange}' and symbol = '{symbol}'
    group by minute order by minute
"""
_CLICKHOUSE_HOUR = """
    select timestamp, side, price, quantity from gold
    where exchange = '{exchange}' and symbol = '{symbol}'
        and timestamp >= '{start:%Y-%m-%d %H:%M:%S}' and timestamp < '{end:%Y-%m-%d %H:%M:%S}'
"""


def beside_clickhouse(rows: int) -> dict[str, Any]:
    """Measure in a process whose environment has ClickHouse, and pandas with it; return its figures.

    The trades stay in ``reports/gold-reads`` for the next time.
    """
    uv = shutil.which("uv", path=f"{os.environ.get('PATH', '')}:.make/uv/bin")
    if uv is None:
        raise RuntimeError("uv is missing: run `make setup` and put it on PATH.")
    command = [uv, "run", "--isolated", "--locked", "--group", "clickhouse"]
    program = [*command, "python", "-m", "benchmarks.gold_reads", str(rows)]
    found = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(found.stdout)
    return measured


def gold_reads(folder: Path, rows: int) -> dict[str, Any]:
    """Measure both questions, before and after compaction, in milliseconds.

    Times are medians of warm runs; ``…_cpu`` is what this process, all threads, spent on a run, which a
    busy machine changes little.
    """
    homes = make_homes(folder, rows)
    clickhouse = _ClickHouse(folder / f"clickhouse-{rows}", homes["compacted"])
    wanted = {"hour": clickhouse.hour, "bars": clickhouse.bars}
    answers = {name: ask() for name, ask in wanted.items()}
    found: dict[str, Any] = {
        "rows": rows,
        "clickhouse": _measured(wanted),
    }
    for state, home in homes.items():
        with k2.Lake(home) as lake:
            asks = {"hour": lambda: ask_hour(lake), "bars": lambda: ask_bars(lake)}
            for name, ask in asks.items():
                _require_same(name, ask(), answers[name])
            found[state] = _measured(asks)
        found[state]["opening_and_hour"] = _warm(lambda: _opened(home, ask_hour))  # noqa: B023
        found[state]["opening_and_bars"] = _warm(lambda: _opened(home, ask_bars))  # noqa: B023
        found[state]["files"] = len(DeltaTable(home / "lake" / GOLD_TRADES.name).file_uris())
        for name in wanted:
            found[state][f"{name}_to_clickhouse"] = round(
                found[state][name] / found["clickhouse"][name], 2
            )
    clickhouse.close()
    return found


def as_markdown(found: dict[str, Any]) -> str:
    """Return the figures as a table."""
    lines = [
        "| | files | an hour of one market, ms | a day's one-minute bars, ms |",
        "|---|---:|---:|---:|",
    ]
    for name in ("clickhouse", "compacted", "small_files"):
        who = {"clickhouse": "ClickHouse", "compacted": "K2", "small_files": "K2 before compaction"}
        part = found[name]
        lines.append(f"| {who[name]} | {part.get('files', '')} | {part['hour']} | {part['bars']} |")
    return "\n".join(lines) + "\n"


def make_homes(
    folder: Path, rows: int, hours: int = _HOURS, files_an_hour: int = _FILES_AN_HOUR
) -> dict[str, Path]:
    """Write the trades, unless an earlier call did; return the homes by the state of their files."""
    small, compacted = folder / f"small-{rows}", folder / f"compacted-{rows}"
    if not small.exists():
        draft = folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        stored = ensure_table(draft / "lake", GOLD_TRADES)
        for number in range(hours * files_an_hour):
            _append(stored, number, rows // (hours * files_an_hour), 3_600 // files_an_hour)
        draft.rename(small)
    if not compacted.exists():
        draft = folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(small, draft)
        stored = DeltaTable(draft / "lake" / GOLD_TRADES.name)
        for partition in sorted({file.partition for file in small_files(stored)}):
            compact(stored, GOLD_TRADES, partition)
        stored.create_checkpoint()
        draft.rename(compacted)
    return {"compacted": compacted, "small_files": small}


def _append(stored: DeltaTable, number: int, count: int, seconds: int) -> None:
    """Append one file: ``count`` trades of so many seconds, which the files before it precede."""
    random = np.random.default_rng(number)
    start_us = round((_START.timestamp() + number * seconds) * 1e6)
    step = seconds * 1_000_000 // count  # no two at one time: which is first would be chance
    at = start_us + np.arange(count) * step + random.integers(0, step, count)
    weights = 1 / np.arange(1, len(_MARKETS) + 1)
    market = random.choice(len(_MARKETS), count, p=weights / weights.sum())
    offsets = number * count + np.arange(count)
    price = 60_000 / (market + 1) * np.exp(np.cumsum(random.normal(0, 1e-6, count)))
    moment = pa.array(at, pa.timestamp("us", "UTC"))
    hour = _START + timedelta(seconds=number * seconds)
    kinds = {field.name: field.type for field in pa.schema(stored.schema().to_arrow())}
    exchanges, symbols = (
        pa.array([m[part] for m in _MARKETS]).take(pa.array(market)) for part in (0, 1)
    )
    texts = pa.array(offsets).cast(pa.string())
    made: dict[str, Any] = {
        "message_id": texts,
        "trade_id": texts,
        "symbol": symbols,
        "exchange": exchanges,
        "asset_class": pa.repeat("crypto", count),
        "timestamp": moment,
        "price": pa.array(np.round(price, 2)).cast(pa.decimal128(18, 2)).cast(kinds["price"]),
        "quantity": pa.array(random.integers(1, 10**7, count) / 1e6).cast(
            kinds["quantity"], safe=False
        ),
        "currency": pa.array(["USDT", "USD"]).take(pa.array(market // 10)),
        "side": pa.array(["BUY", "SELL"]).take(pa.array(random.integers(0, 2, count))),
        "source_sequence": pa.array(offsets),
        "ingestion_timestamp": moment,
        "platform_sequence": pa.array(offsets),
        "vendor_data": pa.repeat('{"exchange_symbol":"X"}', count),
        "topic": pa.repeat("market.crypto.trades.raw", count),
        "partition": pa.array(offsets % 2, pa.int32()),
        "offset": pa.array(offsets),
        "kafka_timestamp": moment,
        "is_late": pa.repeat(False, count),
        "exchange_date": pa.repeat(hour.date(), count),
        "exchange_hour": pa.repeat(pa.scalar(hour.hour, pa.int32()), count),
    }
    rows = pa.table(
        {name: made[name] if name in made else _filled(kind, count) for name, kind in kinds.items()}
    )
    write_deltalake(
        stored,
        grouped(rebuilt(rows, GOLD_TRADES), GOLD_TRADES),
        mode="append",
        writer_properties=layout(GOLD_TRADES, QUICK),
    )


def _filled(kind: pa.DataType, count: int) -> pa.Array:
    """A column that no question asks for."""
    if pa.types.is_string(kind):
        return pa.repeat("spot", count)
    return pa.repeat(1, count).cast(kind) if pa.types.is_integer(kind) else pa.nulls(count, kind)


def ask_hour(lake: k2.Lake) -> pa.Table:
    exchange, symbol = _MARKET
    return lake.trades(symbol, *_HOUR, exchange=exchange, columns=_COLUMNS).arrow().read_all()


def ask_bars(lake: k2.Lake) -> pa.Table:
    exchange, symbol = _MARKET
    query = _K2_BARS.format(day=_DAY[0], exchange=exchange, symbol=symbol)
    return lake.sql(query).arrow().read_all()


def _opened(home: Path, ask: Callable[[k2.Lake], pa.Table]) -> pa.Table:
    with k2.Lake(home) as lake:
        return ask(lake)


class _ClickHouse:
    """The same trades in ClickHouse's own files."""

    def __init__(self, folder: Path, home: Path) -> None:
        from chdb.session import Session  # type: ignore[import-not-found,unused-ignore]

        is_new = not folder.exists()
        self._session = Session(str(folder))
        if is_new:
            with k2.Lake(home) as lake:
                lake.trades(
                    columns=["exchange", "symbol", "offset", *_COLUMNS]
                ).to_duckdb().write_parquet(str(folder.parent / "trades.parquet"))
            self._session.query("create database trades")
            self._session.query(
                "create table trades.gold (exchange LowCardinality(String), symbol LowCardinality(String),"
                " offset Int64, timestamp DateTime64(6, 'UTC'), side LowCardinality(String),"
                " price Decimal(38, 14), quantity Decimal(38, 10)) engine = MergeTree"
                " order by (exchange, symbol, timestamp)"
            )
            self._session.query(
                f"insert into trades.gold select * from file('{folder.parent}/trades.parquet', Parquet)"
            )
            self._session.query("optimize table trades.gold final")
        self._session.query("use trades")

    def hour(self) -> pa.Table:
        exchange, symbol = _MARKET
        return self._arrow(
            _CLICKHOUSE_HOUR.format(exchange=exchange, symbol=symbol, start=_HOUR[0], end=_HOUR[1])
        )

    def bars(self) -> pa.Table:
        exchange, symbol = _MARKET
        return self._arrow(
            _CLICKHOUSE_BARS.format(exchange=exchange, symbol=symbol, day=_DAY[0], end=_DAY[1])
        )

    def close(self) -> None:
        self._session.close()

    def _arrow(self, query: str) -> pa.Table:
        answer = self._session.query(query, "Arrow")
        return pa.ipc.open_file(pa.py_buffer(answer.bytes())).read_all()


def _require_same(name: str, ours: pa.Table, theirs: pa.Table) -> None:
    keys = "timestamp" if name == "hour" else "minute"
    columns = (
        ["price", "quantity"]
        if name == "hour"
        else ["open", "high", "low", "close", "volume", "trades"]
    )
    for column in columns:
        mine, other = (table.sort_by(keys)[column].to_pylist() for table in (ours, theirs))
        if sorted(mine) != sorted(other) if name == "hour" else mine != other:
            raise RuntimeError(f"K2 and ClickHouse differ in {column} of {name}")


def _measured(asks: dict[str, Callable[[], Any]]) -> dict[str, float]:
    times = {name: _warm(ask) for name, ask in asks.items()}
    return times | {f"{name}_cpu": _cpu(ask) for name, ask in asks.items()}


def _cpu(ask: Callable[[], Any]) -> float:
    began = time.process_time()
    for _ in range(_ROUNDS):
        ask()
    return round((time.process_time() - began) / _ROUNDS * 1_000, 1)


def _warm(ask: Callable[[], Any]) -> float:
    ask()
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1_000, 1)


if __name__ == "__main__":
    folder = Path("reports") / "gold-reads"
    folder.mkdir(parents=True, exist_ok=True)
    print(json.dumps(gold_reads(folder.absolute(), int(sys.argv[1]))))
