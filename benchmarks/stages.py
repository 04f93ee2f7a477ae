"""What each step of a batch costs, without Spark and Kafka: CPU and time a record, in microseconds.

The steps are those of a chain (:mod:`k2.engine.chain`), one after the other in one thread, on simulated records.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.avro.wire_format import to_bronze
from k2.bars.aggregate import to_minute_bars
from k2.bronze.table import bronze_trades
from k2.exchanges import EXCHANGES, Exchange
from k2.exchanges.instruments import shipped_instruments
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.silver.dead_letters.replay import DUPLICATE
from k2.silver.dedup.index import DedupIndex
from k2.silver.rules.apply_rules import DEAD_LETTER, TRADE
from k2.silver.tables import REPEATED, dead_letters, duplicates, silver_trades
from k2.silver.transform import to_silver, validated_schema
from k2.storage.delta import ensure_table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId

_FACTS = (
    "outcome",
    "first_trade_id",
    "last_trade_id",
    "message_id",
    "timestamp",
    "partition",
    "offset",
)


def stages(records: int, batch: int) -> dict[str, Any]:
    """Take simulated records of all exchanges through every step, twice; the second time counts."""
    schemas, values = simulated(records)
    for _ in range(2):
        clock = Clock()
        with tempfile.TemporaryDirectory(prefix="k2-bench-") as folder:
            for exchange, of_exchange in values:
                run(clock, exchange, of_exchange, schemas, Path(folder), batch)
    count = sum(len(of_exchange) for _, of_exchange in values)
    of_each = {
        name: {"cpu_us": round(cpu / count * 1e6, 2), "wall_us": round(wall / count * 1e6, 2)}
        for name, (cpu, wall) in clock.spent.items()
    }
    together = round(sum(step["cpu_us"] for step in of_each.values()), 2)
    return {"records": count, "batch": batch, "cpu_us": together, "stages": of_each}


def as_markdown(measured: Mapping[str, Any]) -> str:
    """Return the steps as a table."""
    lines = ["| step | CPU, µs a record | time, µs a record |", "| --- | ---: | ---: |"]
    for name, step in measured["stages"].items():
        lines.append(f"| {name} | {step['cpu_us']} | {step['wall_us']} |")
    return "\n".join([*lines, f"| together | {measured['cpu_us']} | |", ""])


class Clock:
    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        before = self.spent[name]
        self.spent[name] = (
            before[0] + time.process_time() - cpu,
            before[1] + time.perf_counter() - wall,
        )


def simulated(records: int) -> tuple[dict[int, str], list[tuple[Exchange, list[bytes | None]]]]:
    files = [file for exchange in EXCHANGES for file in exchange.raw_schemas]
    schemas = {number: schema_text(file) for number, file in enumerate(files, 1)}
    encoders = {file: encoder(schemas[number], number) for number, file in enumerate(files, 1)}
    simulation = Simulation(time.time_ns() // 1000, 50.0, coinbase_share=0, block_size=2_048)
    feed = SimulatedFeed(simulation, encoders, Progress())
    values: dict[str, list[bytes | None]] = defaultdict(list)
    for record in islice(chain.from_iterable(feed.blocks()), records):
        values[record.topic].append(record.value)
    return schemas, [(e, values[e.topic]) for e in EXCHANGES if e.topic in values]


def run(
    clock: Clock,
    exchange: Exchange,
    values: list[bytes | None],
    schemas: Mapping[int, str],
    folder: Path,
    size: int,
) -> None:
    writer = ArrowWriter(folder / "lake")
    own = [kind(exchange) for kind in (bronze_trades, silver_trades, duplicates, dead_letters)]
    for table in (*own, GOLD_TRADES):
        ensure_table(writer.lake, table)
    bronze_table, silver_table, duplicate_table, letter_table = own
    seen = DedupIndex(folder / exchange.name / "seen-trades.db")
    reader = schema_text(exchange.reader_schema)
    validate = partial(
        to_silver,
        exchange=exchange,
        writer_schemas=schemas,
        reader=reader,
        instruments=shipped_instruments(exchange.name),
    )
    for first in range(0, len(values), size):
        records = _of_kafka(values[first : first + size], first)
        txn = TxnId(f"bench-{exchange.name}", first // size)
        with clock.step("shape Bronze"):
            bronze = writer.hold(to_bronze(records, exchange.topic, datetime.now(UTC)))
        with clock.step("write Bronze"):
            bronze.append(bronze_table, txn)
        with clock.step("decode, map and judge"):
            validated = bronze.map_arrow(validate, validated_schema(exchange))
        with clock.step("find duplicates"):
            facts = validated.select(*_FACTS, outcome=TRADE).to_arrow().combine_chunks()
            found = seen.find_duplicates(facts)
            again = facts.filter(pa.array(found.duplicates)).select(["partition", "offset"])
            marks = {"outcome": DUPLICATE, "reason": REPEATED}
            for name, value in marks.items():
                again = again.append_column(name, pa.repeat(value, again.num_rows))
            decided = validated.update(again)
        with clock.step("write Silver"):
            new = decided.select(*silver_table.columns, outcome=TRADE)
            new.append(silver_table, txn)
        with clock.step("write duplicates and dead letters"):
            for table, outcome in ((duplicate_table, DUPLICATE), (letter_table, DEAD_LETTER)):
                decided.select(*table.columns, outcome=outcome).append(table, txn)
            seen.commit_batch(found, txn.version)
        with clock.step("shape Gold"):
            trades = to_gold(new.to_arrow(), 5)
        with clock.step("write Gold"):
            writer.append(GOLD_TRADES, txn, trades)
        with clock.step("add up bars"):
            to_minute_bars(trades)
    seen.close()


def _of_kafka(values: list[bytes | None], first: int) -> pa.Table:
    count = len(values)
    headers = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    now = pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "key": pa.array([b"BTCUSDT"] * count),
            "value": pa.array(values, pa.binary()),
            "headers": pa.nulls(count, headers),
            "partition": pa.repeat(pa.scalar(0, pa.int32()), count),
            "offset": pc.add(pa.array(range(count), pa.int64()), first),
            "timestamp": pa.repeat(now, count),
        }
    )
