"""The Silver stream: Bronze bytes in; trades, dead letters and duplicates out, of one decode."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from k2.errors import NewSchemaError
from k2.exchanges import Exchange
from k2.io.delta import open_table
from k2.io.seen_trades import STORED, SeenTrades, with_identity
from k2.io.table_writer import Batch, Rows, TableWriter, WriteId
from k2.io.unknown_schema_ids import UnknownSchemaIds
from k2.settings import Settings
from k2.streams.observed import with_hops
from k2.streams.redecide import Redecider
from k2.streams.schemas import Schemas
from k2.streams.stream import BatchReport, Stream
from k2.streams.upstream import new_rows
from k2.tables import Layer, bronze_trades, dead_letters, duplicates, resolutions, silver_trades
from k2.transforms.decode import SCHEMA
from k2.transforms.screen import DEAD_LETTER, TRADE
from k2.transforms.silver import to_silver

_RECORD = ("partition", "offset")
_IDENTITY = ("identity_number", "message_id", "timestamp")
_FACTS = ("outcome", "error_type", "schema_id", *_IDENTITY, *_RECORD)


def silver_stream(
    exchange: Exchange, settings: Settings, writer: TableWriter, schemas: Schemas, reader: str
) -> Stream:
    """Read an exchange's Bronze table, decode and judge it. ``reader`` is the newest raw schema.

    The query is planned once, with the writers' schemas known at its start: planning this much anew
    for every batch would cost more than the rows do. A batch with a schema that is news to it ends
    the query, which starts again with what it has learned.
    """
    source_table = bronze_trades(exchange)
    known = schemas.known()

    def source(spark: SparkSession) -> DataFrame:
        limits = (settings.max_files_per_batch, settings.max_bytes_per_batch)
        bronze = new_rows(spark, settings, source_table, *limits).select(
            "topic", *_RECORD, "schema_id", "kafka_timestamp", "value"
        )
        return with_hops(to_silver(bronze, exchange, known, reader))

    version = 1
    redecider = Redecider(
        exchange, settings, writer, schemas, reader, f"{Layer.SILVER}-{exchange.name}/v{version}"
    )
    return Stream(
        layer=Layer.SILVER,
        exchange=exchange,
        version=version,
        tables=(silver_trades(exchange), duplicates(exchange), dead_letters(exchange)),
        reads=(source_table,),
        source=source,
        sink=lambda _: SilverSink(exchange, settings, writer, schemas, known, redecider),
        ledgers=(resolutions(exchange),),
        redecider=redecider,
    )


@dataclass(frozen=True)
class Taken:
    """A batch that Silver has, and which of its rows are new trades; None when it had them before."""

    report: BatchReport
    new: Rows | None = None


@dataclass
class SilverSink:
    """Writes a batch to the three Silver tables, then takes its trades into the index."""

    exchange: Exchange
    settings: Settings
    writer: TableWriter
    schemas: Schemas
    known: dict[int, str]
    redecider: Redecider | None = None
    _seen: SeenTrades | None = None

    def write(self, rows: DataFrame, write_id: WriteId) -> list[BatchReport]:
        """Write a batch of :func:`~k2.transforms.silver.to_silver`."""
        with self.writer.batch(rows, reused=True) as batch:
            return [self.take(batch, write_id, rows.sparkSession).report]

    def take(self, batch: Batch, write_id: WriteId, spark: SparkSession) -> Taken:
        """Write a batch that is open.

        Raises:
            NewSchemaError: it holds schemas that the query was planned without.
            UnavailableError: the registry did not answer; nothing was written.
        """
        state = self.settings.checkpoint(write_id.app)
        facts = batch.columns(*_FACTS)
        self._learn(facts, UnknownSchemaIds(state / "unknown-schema-ids"), write_id.batch)
        if self._seen is None and self.redecider is not None:
            self.redecider.finish(lambda: spark)
        return self._write(batch, facts, write_id, self._index(state, facts, write_id))

    def close(self) -> None:
        """Close the index."""
        if self._seen is not None:
            self._seen.close()
            self._seen = None

    def _learn(self, facts: pa.Table, unknown: UnknownSchemaIds, batch: int) -> None:
        """Ask the registry for the ids that the batch lacks.

        What it does not have is remembered before anything is written: a batch that runs again must
        become the same rows, though the id may have been registered meanwhile.
        """
        undecided = unknown.recall(batch)
        if withheld := undecided & self.known.keys():
            for id_ in withheld:
                del self.known[id_]
            raise NewSchemaError(
                f"Batch {batch} was first decided without schema {_listed(withheld)}; the query"
                " starts again without it, and has it for the next batch."
            )
        missing = _unknown_ids(facts) - self.known.keys() - undecided
        answers = {id_: self.schemas.schema_by_id(id_) for id_ in sorted(missing)}
        news = {id_: schema for id_, schema in answers.items() if schema is not None}
        unknown.remember(batch, missing - news.keys())
        if news:
            self.known.update(news)
            raise NewSchemaError(
                f"Batch {batch} brings schema {_listed(news)}; the query starts again with it."
            )

    def _write(self, batch: Batch, facts: pa.Table, write_id: WriteId, seen: SeenTrades) -> Taken:
        if seen.applied_batch >= write_id.batch:
            # All tables had the batch before the index took it in.
            return Taken(BatchReport(write_id.app, write_id.batch))
        trades = facts.filter(pc.equal(facts["outcome"], TRADE)).combine_chunks()
        judgement = seen.judge(trades)
        again = trades.filter(pa.array(judgement.duplicates)).select(list(_RECORD))
        dead = facts.filter(pc.equal(facts["outcome"], DEAD_LETTER))
        new = Rows(TRADE, again)
        written = batch.append(silver_trades(self.exchange), write_id, new)
        if again.num_rows:
            batch.append(duplicates(self.exchange), write_id, Rows(TRADE, again, True))
        if dead.num_rows:
            batch.append(dead_letters(self.exchange), write_id, Rows(DEAD_LETTER))
        seen.apply(judgement, write_id.batch)
        report = BatchReport(
            stream=write_id.app,
            batch_id=write_id.batch,
            written=written,
            dead_letters=dict(_counts(dead["error_type"])),
            duplicates=again.num_rows,
        )
        return Taken(report, new)

    def _index(self, state: Path, facts: pa.Table, write_id: WriteId) -> SeenTrades:
        if self._seen is None:
            self._seen = SeenTrades(state / "seen-trades.db")
        if self._seen.applied_batch < write_id.batch - 1:
            # Lost, or older than its table: Silver itself says what was seen before this batch.
            silver = _silver_without(self.settings.lake, self.exchange, facts)
            self._seen.rebuild(silver, write_id.batch - 1)
        return self._seen


def _listed(ids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(ids)))


def _unknown_ids(facts: pa.Table) -> set[int]:
    """Ids of schema errors; those of known but incompatible schemas are among them."""
    of_schema = facts.filter(pc.equal(facts["error_type"], SCHEMA))["schema_id"]
    return {id_ for id_ in pc.unique(of_schema).to_pylist() if id_ is not None}


def _silver_without(lake: Path, exchange: Exchange, facts: pa.Table) -> Iterator[pa.Table]:
    stored = open_table(lake, silver_trades(exchange))
    if stored is None:
        return
    for part in stored.to_pyarrow_dataset().to_batches(columns=list(STORED)):
        rows = pa.Table.from_batches([part])
        yield with_identity(
            rows.join(facts.select(list(_RECORD)), list(_RECORD), join_type="left anti")
        )


def _counts(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    return [(item["values"].as_py(), item["counts"].as_py()) for item in column.value_counts()]
