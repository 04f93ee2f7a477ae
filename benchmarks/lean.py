"""The lean contender: no Spark. librdkafka, fastavro, Arrow and delta-rs in one small process.

It keeps K2's contract: schemas by id, every rule, dead letters, duplicates of any age, and
exactly-once by Delta transactions that hold each partition's next offset.

    python -m benchmarks.lean --lake DIR --kafka … --registry … [--silver-only]
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, Message, TopicPartition
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake

from benchmarks.lean_rows import Decoder, to_trades
from k2.connectors.schema_registry import SchemaRegistry
from k2.silver.dedup.id_ranges import IdRanges

_BATCH, _FETCH = 200_000, 10_000
_TIME = pa.timestamp("us", "UTC")
_DOLLARS = pa.array(["USD", "USDT", "USDC", "FDUSD"])
_COMPRESSION = WriterProperties(compression="ZSTD", compression_level=1)


class Loader:
    """Loads one exchange's topic into its tables, and Gold."""

    def __init__(self, exchange: str, options: argparse.Namespace) -> None:
        self.exchange, self.topic = exchange, f"market.crypto.trades.{exchange}.raw"
        layers = (
            ("silver", "dlq", "dup") if options.silver_only else ("bronze", "silver", "dlq", "dup")
        )
        names = [f"{layer}_{exchange}_trades" for layer in layers]
        names += [] if options.silver_only else ["gold_trades"]
        self.tables = {name.split("_")[0]: DeltaTable(Path(options.lake, name)) for name in names}
        self.types = {name: pa.schema(t.schema().to_arrow()) for name, t in self.tables.items()}
        self.decoder = Decoder(SchemaRegistry(options.registry).schema_by_id)
        self.seen: dict[str, IdRanges] = defaultdict(IdRanges.empty)
        self.keys: set[str] = set()
        self.consumer = Consumer(
            {"bootstrap.servers": options.kafka, "group.id": "lean", "enable.auto.commit": False}
        )
        self._recall()

    def run(self) -> int:
        """Load what the topic holds now; return the number of records."""
        ends, total = self._assign(), 0
        while batch := self._fetch(ends):
            self._load(batch)
            total += len(batch)
        self.consumer.close()
        return total

    def _done(self, table: str, partition: int) -> int:
        app = f"lean/{self.topic}/{partition}"
        return self.tables[table].transaction_version(app) or 0

    def _assign(self) -> dict[int, int]:
        partitions = self.consumer.list_topics(self.topic).topics[self.topic].partitions
        ends, starts = {}, []
        for number in partitions:
            first = min(self._done(table, number) for table in self.tables)
            starts.append(TopicPartition(self.topic, number, first))
            _, end = self.consumer.get_watermark_offsets(TopicPartition(self.topic, number))
            if end > first:
                ends[number] = end
        self.consumer.assign(starts)
        return ends

    def _fetch(self, ends: dict[int, int]) -> list[Message]:
        found: list[Message] = []
        while ends and len(found) < _BATCH:
            for message in self.consumer.consume(_FETCH, 0.5):
                if message.error():
                    raise RuntimeError(message.error().str())
                found.append(message)
                if message.offset() + 1 >= ends.get(message.partition(), 0):
                    ends.pop(message.partition(), None)
        return found

    def _load(self, messages: list[Message]) -> None:
        lineage = pa.table(
            {
                "topic": pa.repeat(self.topic, len(messages)),
                "partition": pa.array([m.partition() for m in messages], pa.int32()),
                "offset": pa.array([m.offset() for m in messages], pa.int64()),
                "kafka_timestamp": pa.array(
                    [m.timestamp()[1] * 1000 for m in messages], pa.int64()
                ).cast(_TIME),
            }
        )
        values = [m.value() for m in messages]
        read = [self.decoder.read(value) for value in values]
        lineage = lineage.append_column("schema_id", pa.array([r[2] for r in read], pa.int32()))
        self.nexts = {m.partition(): m.offset() + 1 for m in messages}
        if "bronze" in self.tables:
            self._write("bronze", self._bronze(messages, values, lineage))
        raw = pa.array(values, pa.binary())
        whole = [at for at, (_, error, _) in enumerate(read) if error is None]
        rows = lineage.append_column("raw_record", raw).take(pa.array(whole))
        trades = to_trades(self.exchange, [read[at][0] for at in whole], rows)  # type: ignore[misc]
        is_good = pc.equal(trades["reasons"], "")
        good = trades.filter(is_good)
        fresh = self._deduplicate(good)
        news = good.filter(pa.array(fresh))
        again = good.filter(pa.array(~fresh))
        self._write("silver", news)
        if "gold" in self.tables:
            self._write("gold", _gold(news))
        again = again.append_column("dup_date", again["kafka_timestamp"].cast(pa.date32()))
        self._write("dup", again)
        bad = [at for at, (_, error, _) in enumerate(read) if error is not None]
        undecoded = lineage.append_column("raw_record", raw).take(pa.array(bad, pa.int64()))
        undecoded = undecoded.append_column(
            "reasons", pa.array([read[at][1] for at in bad], pa.string())
        )
        broken = trades.filter(pc.invert(is_good)).select(undecoded.column_names)
        self._write("dlq", _dead(undecoded, "decode"), _dead(broken, "rule"))

    def _bronze(self, messages: list[Message], values: list[Any], lineage: pa.Table) -> pa.Table:
        now = pa.scalar(np.datetime64("now", "us").astype(int), pa.int64()).cast(_TIME)
        columns = {
            "key": pa.array([m.key() for m in messages], pa.binary()),
            "value": pa.array(values, pa.binary()),
            "headers": pa.nulls(len(messages), self.types["bronze"].field("headers").type),
            **{name: lineage[name] for name in lineage.column_names},
            "ingested_at": pa.repeat(now, len(messages)),
            "ingest_date": lineage["kafka_timestamp"].cast(pa.date32()),
        }
        return pa.table(columns)

    def _deduplicate(self, trades: pa.Table) -> np.ndarray[Any, Any]:
        """Tell which rows are new, of any age, and remember them."""
        fresh = np.zeros(trades.num_rows, np.bool_)
        numbered = pc.is_valid(trades["number"]).to_numpy()
        numbers = pc.fill_null(trades["number"], 0).to_numpy()
        spaces = trades["space"].combine_chunks().dictionary_encode()
        codes = spaces.indices.to_numpy()
        for code, space in enumerate(spaces.dictionary.to_pylist()):
            rows = np.flatnonzero((codes == code) & numbered)
            news, first = np.unique(numbers[rows], return_index=True)
            is_new = ~self.seen[space].contains(news)
            fresh[rows[first[is_new]]] = True
            self.seen[space] = self.seen[space].union(IdRanges.of(news[is_new]))
        for row in np.flatnonzero(~numbered):
            key = trades["trade_id"][int(row)].as_py()
            fresh[row] = key not in self.keys
            self.keys.add(key)
        return fresh

    def _recall(self) -> None:
        """Learn from Silver what it has: a restart forgets no duplicate."""
        stored = self.tables["silver"].to_pyarrow_dataset()
        for part in stored.to_batches(columns=["message_id", "trade_id", "source_sequence"]):
            identity = pc.utf8_slice_codeunits(part["message_id"], -32)
            space = pc.utf8_slice_codeunits(identity, 0, 16)
            columns = {
                "space": space,
                "number": part["source_sequence"],
                "trade_id": part["trade_id"],
            }
            self._deduplicate(pa.table(columns))

    def _write(self, name: str, *parts: pa.Table) -> None:
        table, types = self.tables[name], self.types[name]
        done = {partition: self._done(name, partition) for partition in self.nexts}
        rows = pa.concat_tables([part.select(types.names) for part in parts])
        if any(done.values()):  # a table may be ahead of the others after a crash
            starts = pa.array([done[p] for p in rows["partition"].to_pylist()], pa.int64())
            rows = rows.filter(pc.greater_equal(rows["offset"], starts))
        marks = [Transaction(f"lean/{self.topic}/{p}", after) for p, after in self.nexts.items()]
        write_deltalake(
            table,
            rows.cast(types),
            mode="append",
            writer_properties=_COMPRESSION,
            commit_properties=CommitProperties(app_transactions=marks),
        )
        table.update_incremental()


def _gold(trades: pa.Table) -> pa.Table:
    value = pc.multiply(trades["price"], trades["quantity"]).cast(pa.decimal128(36, 16))
    delay = pc.subtract(
        trades["kafka_timestamp"].cast(pa.int64()), trades["timestamp"].cast(pa.int64())
    )
    return (
        trades.append_column(
            "trade_value_usd", pc.if_else(pc.is_in(trades["currency"], _DOLLARS), value, None)
        )
        .append_column("is_late", pc.greater(delay, 300_000_000))
        .append_column("exchange_hour", pc.hour(trades["timestamp"]).cast(pa.int32()))
    )


def _dead(rows: pa.Table, kind: str) -> pa.Table:
    size = rows.num_rows
    return (
        rows.append_column("error_type", pa.repeat(kind, size))
        .append_column("error_reasons", pc.split_pattern(rows["reasons"], ","))
        .append_column("stage", pa.repeat("silver", size))
        .append_column("error_timestamp", rows["kafka_timestamp"])
        .append_column("dlq_date", rows["kafka_timestamp"].cast(pa.date32()))
    )


def main() -> None:
    """Load both exchanges' topics until nothing is left."""
    parser = argparse.ArgumentParser()
    for name in ("lake", "kafka", "registry"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--silver-only", action="store_true")
    options = parser.parse_args()
    for exchange in ("binance", "kraken"):
        print(exchange, Loader(exchange, options).run())


if __name__ == "__main__":
    main()
