"""The Silver stream: Bronze bytes in; trades, dead letters and duplicates out, of one decode."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from k2.bronze.table import bronze_trades
from k2.engine.stream import BatchReport, Stream, Told
from k2.engine.upstream import new_rows
from k2.exchanges import Exchange
from k2.exchanges.instruments import Instruments
from k2.home.instrument_lists import InstrumentLists
from k2.observability.hop_latencies import STATIONS, hops
from k2.settings import Settings
from k2.silver.dead_letters.replay import Redecider
from k2.silver.dedup.index import Judgement, SeenTrades
from k2.silver.dedup.stored_records import stored_records
from k2.silver.instrument_versions import InstrumentVersions
from k2.silver.rules.screen import DEAD_LETTER, FILLER, TRADE
from k2.silver.schema_lookup import Schemas
from k2.silver.tables import (
    OVERLAPS,
    REPEATED,
    dead_letters,
    duplicates,
    resolutions,
    silver_trades,
)
from k2.silver.transform import NEEDED, judged_columns, to_silver
from k2.silver.unknown_schema_ids import UnknownSchemaIds
from k2.storage.delta import open_table
from k2.storage.table import Layer
from k2.storage.writers.writer import Batch, Rows, TableWriter, WriteId

_RECORD = ("partition", "offset")
_IDENTITY = ("message_id", "first_trade_id", "last_trade_id")
_FACTS = ("outcome", "error_type", *_IDENTITY, *_RECORD, *STATIONS)


def silver_stream(
    exchange: Exchange, settings: Settings, writer: TableWriter, schemas: Schemas, reader: str
) -> Stream:
    """Read an exchange's Bronze table, decode and judge it. ``reader`` is the newest raw schema."""
    source_table = bronze_trades(exchange)

    def source(spark: SparkSession) -> DataFrame:
        limits = (settings.max_files_per_batch, settings.max_bytes_per_batch)
        return new_rows(spark, settings, source_table, *limits).select(*NEEDED)

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
        sink=lambda _: SilverSink(exchange, settings, writer, schemas, reader, redecider),
        ledgers=(resolutions(exchange),),
        redecider=redecider,
    )


@dataclass(frozen=True)
class Taken:
    """A batch that Silver has: its judged rows, and which of them are new trades.

    ``new`` is None when Silver had the batch before: which were new is known no more.
    """

    report: BatchReport
    judged: Batch
    new: Rows | None = None


@dataclass
class SilverSink:
    """Writes a batch to the three Silver tables, then takes its trades into the index."""

    exchange: Exchange
    settings: Settings
    writer: TableWriter
    schemas: Schemas
    reader: str
    redecider: Redecider | None = None
    lists: InstrumentLists | None = None
    _seen: SeenTrades | None = None
    _versions: InstrumentVersions | None = None

    def write(self, rows: DataFrame, write_id: WriteId, told: Told) -> None:
        """Write a batch of Bronze's rows."""
        with self.writer.batch(rows, reused=True) as batch:
            told(self.take(batch, write_id).report)

    def take(self, bronze: Batch, write_id: WriteId) -> Taken:
        """Decode and judge a batch that is open, and write it.

        Raises:
            UnavailableError: the registry did not answer; nothing was written.
        """
        state = self.settings.checkpoint(write_id.app)
        unknown = UnknownSchemaIds(state / "unknown-schema-ids")
        known = self._schemas(bronze.distinct("schema_id"), unknown, write_id.batch)
        judge = partial(
            to_silver,
            exchange=self.exchange,
            writer_schemas=known,
            reader=self.reader,
            instruments=self._instruments(state, write_id),
        )
        judged = bronze.mapped(judge, judged_columns(self.exchange))
        if self._seen is None and self.redecider is not None:
            self.redecider.finish()
        facts = judged.columns(*_FACTS)
        return self._write(judged, facts, write_id, self._index(state, facts, write_id))

    def close(self) -> None:
        """Close the index."""
        if self._seen is not None:
            self._seen.close()
            self._seen = None

    def _schemas(self, ids: set[int], unknown: UnknownSchemaIds, batch: int) -> dict[int, str]:
        """Return the schemas of a batch's ids, but for those that the registry does not have.

        These are remembered before anything is written: a batch that runs again must become the
        same rows, though an id may have been registered meanwhile.
        """
        asked = sorted(ids - unknown.recall(batch))
        answers = {id_: self.schemas.schema_by_id(id_) for id_ in asked}
        known = {id_: schema for id_, schema in answers.items() if schema is not None}
        unknown.remember(batch, answers.keys() - known.keys())
        return known

    def _instruments(self, state: Path, write_id: WriteId) -> Instruments:
        """Return the newest list, or the one that the batch has begun to write with.

        Silver is the first table that a batch writes: if it has the batch, the others may miss rows
        that must come from the same list. Otherwise nothing of the batch is anywhere yet.
        """
        if self.lists is None:
            self.lists = InstrumentLists(self.settings)
        if self._versions is None:
            self._versions = InstrumentVersions(state / "instrument-versions")
        newest = self.lists.current(self.exchange.name)
        used = self._versions.recall(write_id.batch)
        if used == newest.version:
            return newest
        if used is not None and self._has_written(write_id):
            return self.lists.version(self.exchange.name, used)
        self.lists.keep(self.exchange.name, newest)
        self._versions.remember(write_id.batch, newest.version)
        return newest

    def _has_written(self, write_id: WriteId) -> bool:
        silver = open_table(self.settings.lake, silver_trades(self.exchange))
        newest = None if silver is None else silver.transaction_version(write_id.app)
        return newest is not None and newest >= write_id.batch

    def _write(self, batch: Batch, facts: pa.Table, write_id: WriteId, seen: SeenTrades) -> Taken:
        if seen.applied_batch >= write_id.batch:
            # All tables had the batch before the index took it in.
            return Taken(BatchReport(write_id.app, write_id.batch), batch)
        is_trade, is_filler = pc.equal(facts["outcome"], TRADE), _are_fillers(facts)
        named = pc.or_(is_trade, is_filler)
        trades, fillers = facts.filter(named).combine_chunks(), is_filler.filter(named)
        judgement = seen.judge(trades, fillers)
        again = _duplicates(trades, judgement, fillers)
        dead = facts.filter(pc.equal(facts["outcome"], DEAD_LETTER))
        new = Rows(TRADE, again.select(list(_RECORD)))
        written = batch.append(silver_trades(self.exchange), write_id, new)
        if again.num_rows:
            self._append_duplicates(batch, again, write_id)
        if dead.num_rows:
            batch.append(dead_letters(self.exchange), write_id, Rows(DEAD_LETTER))
        seen.apply(judgement, write_id.batch)
        report = BatchReport(
            stream=write_id.app,
            batch_id=write_id.batch,
            written=written,
            dead_letters=dict(_counts(dead["error_type"])),
            duplicates=again.num_rows,
            observed=hops(facts),
        )
        return Taken(report, batch, new)

    def _append_duplicates(self, batch: Batch, again: pa.Table, write_id: WriteId) -> None:
        table = duplicates(self.exchange)
        known = [name for name in table.columns if name not in ("reason", *_RECORD)]
        chosen = Rows(TRADE, again.select(list(_RECORD)), only_records=True)
        rows = batch.columns(*known, *_RECORD, of=chosen).join(again, list(_RECORD))
        self.writer.holding(rows).append(table, write_id)

    def _index(self, state: Path, facts: pa.Table, write_id: WriteId) -> SeenTrades:
        if self._seen is None:
            self._seen = SeenTrades(state / "seen-trades.db")
        if self._seen.applied_batch < write_id.batch - 1:
            # Lost, or older than its table: the tables say what was seen before this batch.
            stored = stored_records(self.settings.lake, self.exchange, but=facts)
            self._seen.rebuild(stored, write_id.batch - 1)
        return self._seen


def _are_fillers(facts: pa.Table) -> pa.ChunkedArray:
    """Which dead letters say of an id, known with its day, that no trade has it."""
    is_filler = pc.fill_null(pc.equal(facts["error_type"], FILLER), False)
    is_named = pc.and_(pc.is_valid(facts["message_id"]), pc.is_valid(facts["first_trade_id"]))
    return pc.and_(is_filler, is_named)


def _duplicates(records: pa.Table, judgement: Judgement, is_filler: pa.ChunkedArray) -> pa.Table:
    """The records that are trades and none of Silver, each with the ``reason``."""
    reason = pc.if_else(pa.array(judgement.overlaps), OVERLAPS, REPEATED)
    is_again = pc.and_not(pa.array(judgement.duplicates), is_filler)
    return records.select(list(_RECORD)).append_column("reason", reason).filter(is_again)


def _counts(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    return [(item["values"].as_py(), item["counts"].as_py()) for item in column.value_counts()]
