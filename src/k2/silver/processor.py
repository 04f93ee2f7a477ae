"""The Silver stream decodes each Bronze record once and writes it as trade, dead letter or duplicate."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from k2.bronze.table import bronze_trades
from k2.engine.processor import BatchResult
from k2.engine.stream import Stream
from k2.engine.table_requests import REPLAY
from k2.engine.upstream import new_rows
from k2.exchanges import Exchange
from k2.exchanges.instruments import Instruments
from k2.home.instrument_lists import InstrumentLists
from k2.observability.hop_latencies import HOP_TIMESTAMPS, hop_latencies
from k2.settings import Settings
from k2.silver.dead_letters.replay import DUPLICATE, DeadLetterReplay
from k2.silver.dedup.index import DedupIndex, DedupResult
from k2.silver.dedup.stored_records import stored_records
from k2.silver.instrument_versions import InstrumentVersions
from k2.silver.rules.apply_rules import DEAD_LETTER, FILLER, TRADE
from k2.silver.schema_lookup import SchemaLookup
from k2.silver.tables import (
    OVERLAPS,
    REPEATED,
    dead_letters,
    duplicates,
    resolutions,
    silver_trades,
)
from k2.silver.transform import NEEDED, to_silver, validated_schema
from k2.silver.unknown_schema_ids import UnknownSchemaIds
from k2.storage.delta import open_table
from k2.storage.table import Layer, Table
from k2.storage.writers.writer import Batch, TableWriter, TxnId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_RECORD = ("partition", "offset")
_IDENTITY = ("message_id", "first_trade_id", "last_trade_id")
_FACTS = ("outcome", "error_type", *_IDENTITY, *_RECORD, *HOP_TIMESTAMPS)


def silver_stream(
    exchange: Exchange, settings: Settings, writer: TableWriter, schemas: SchemaLookup, reader: str
) -> Stream:
    """Return the stream that reads an exchange's Bronze table, decodes and validates it. ``reader`` is the newest raw
    schema."""
    source_table = bronze_trades(exchange)

    def source(spark: "SparkSession") -> "DataFrame":
        limits = (settings.max_files_per_batch, settings.max_bytes_per_batch)
        return new_rows(spark, settings, source_table, *limits).select(*NEEDED)

    name, version = f"{Layer.SILVER}-{exchange.name}", 1
    replay = DeadLetterReplay(exchange, settings, writer, schemas, reader, f"{name}/v{version}")
    return Stream(
        name=name,
        layer=Layer.SILVER,
        exchange=exchange,
        version=version,
        tables=(silver_trades(exchange), duplicates(exchange), dead_letters(exchange)),
        reads=(source_table,),
        source=source,
        is_in_every_batch=True,
        processor=SilverProcessor(exchange, settings, schemas, reader, replay),
        writer=writer,
        audit_tables=(resolutions(exchange),),
        requests={REPLAY: replay.handle},
    )


@dataclass
class SilverProcessor:
    """Writes a batch to the three Silver tables, then adds its trades to the dedup index.

    ``dead_letter_replay`` finishes a replay that a crash interrupted, before the index is used.
    """

    exchange: Exchange
    settings: Settings
    schemas: SchemaLookup
    reader: str
    dead_letter_replay: DeadLetterReplay | None = None
    lists: InstrumentLists | None = None
    _index: DedupIndex | None = None
    _versions: InstrumentVersions | None = None

    def process(self, batch: Batch, txn: TxnId) -> BatchResult:
        """Decode and validate rows of Bronze, and write each as trade, duplicate or dead letter.

        Raises:
            UnavailableError: the registry did not answer; nothing was written.
        """
        state = self.settings.checkpoint(txn.app_id)
        unknown = UnknownSchemaIds(state / "unknown-schema-ids")
        known = self._schemas(batch.distinct("schema_id"), unknown, txn.version)
        validate = partial(
            to_silver,
            exchange=self.exchange,
            writer_schemas=known,
            reader=self.reader,
            instruments=self._instruments(state, txn),
        )
        validated = batch.map_arrow(validate, validated_schema(self.exchange), reused=True)
        if self._index is None and self.dead_letter_replay is not None:
            self.dead_letter_replay.finish()
        facts = validated.to_arrow(*_FACTS)
        index = self._open_index(state, facts, txn)
        if index.applied_batch >= txn.version:
            # All tables had the batch before the index took it in.
            return BatchResult(txn.app_id, txn.version)
        return self._write(validated, facts, txn, index)

    def close(self) -> None:
        """Close the index."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def _schemas(self, ids: set[int], unknown: UnknownSchemaIds, batch: int) -> dict[int, str]:
        """Return the schemas of a batch's ids, without those that the registry does not have.

        The missing ids are stored before anything is written: a batch that runs again must give the same
        rows, though an id may have been registered meanwhile.
        """
        asked = sorted(ids - unknown.recall(batch))
        answers = {id_: self.schemas.schema_by_id(id_) for id_ in asked}
        known = {id_: schema for id_, schema in answers.items() if schema is not None}
        unknown.remember(batch, answers.keys() - known.keys())
        return known

    def _instruments(self, state: Path, txn: TxnId) -> Instruments:
        """Return the newest list, or the one with which the batch was partly written.

        Silver is the first table that a batch writes: if it has the batch, other tables may lack rows that must
        come from the same list. Otherwise no table has any of the batch.
        """
        if self.lists is None:
            self.lists = InstrumentLists(self.settings)
        if self._versions is None:
            self._versions = InstrumentVersions(state / "instrument-versions")
        newest = self.lists.current(self.exchange.name)
        used = self._versions.recall(txn.version)
        if used == newest.version:
            return newest
        if used is not None and self._has_written(txn):
            return self.lists.version(self.exchange.name, used)
        self.lists.keep(self.exchange.name, newest)
        self._versions.remember(txn.version, newest.version)
        return newest

    def _has_written(self, txn: TxnId) -> bool:
        silver = open_table(self.settings.lake, silver_trades(self.exchange))
        newest = None if silver is None else silver.transaction_version(txn.app_id)
        return newest is not None and newest >= txn.version

    def _write(
        self, validated: Batch, facts: pa.Table, txn: TxnId, index: DedupIndex
    ) -> BatchResult:
        is_trade, is_filler = pc.equal(facts["outcome"], TRADE), _are_fillers(facts)
        named = pc.or_(is_trade, is_filler)
        trades, fillers = facts.filter(named).combine_chunks(), is_filler.filter(named)
        found = index.find_duplicates(trades, fillers)
        repeated = _duplicates(trades, found, fillers)
        dead = facts.filter(pc.equal(facts["outcome"], DEAD_LETTER))
        decided = validated.update(repeated)

        def rows(table: Table, outcome: str) -> Batch:
            return decided.select(*table.columns, outcome=outcome)

        silver, dup, dlq = (
            table(self.exchange) for table in (silver_trades, duplicates, dead_letters)
        )
        new_trades = rows(silver, TRADE)
        written = new_trades.append(silver, txn)
        if repeated.num_rows:
            rows(dup, DUPLICATE).append(dup, txn)
        if dead.num_rows:
            rows(dlq, DEAD_LETTER).append(dlq, txn)
        index.commit_batch(found, txn.version)
        return BatchResult(
            stream=txn.app_id,
            batch_id=txn.version,
            written=written,
            dead_letters=dict(_counts(dead["error_type"])),
            duplicates=repeated.num_rows,
            observed=hop_latencies(facts),
            output=new_trades,
        )

    def _open_index(self, state: Path, facts: pa.Table, txn: TxnId) -> DedupIndex:
        if self._index is None:
            self._index = DedupIndex(state / "seen-trades.db")
        if self._index.applied_batch < txn.version - 1:
            # Lost, or older than its table: the tables say what was seen before this batch.
            stored = stored_records(self.settings.lake, self.exchange, but=facts)
            self._index.rebuild(stored, txn.version - 1)
        return self._index


def _are_fillers(facts: pa.Table) -> pa.ChunkedArray:
    """Which dead letters are fillers: they say that no trade has an id, whose day is known."""
    is_filler = pc.fill_null(pc.equal(facts["error_type"], FILLER), False)
    is_named = pc.and_(pc.is_valid(facts["message_id"]), pc.is_valid(facts["first_trade_id"]))
    return pc.and_(is_filler, is_named)


def _duplicates(records: pa.Table, found: DedupResult, is_filler: pa.ChunkedArray) -> pa.Table:
    """The valid trades that do not go to Silver because they are duplicates, with the ``outcome`` and ``reason`` to set."""
    columns = {
        "outcome": pa.repeat(DUPLICATE, records.num_rows),
        "reason": pc.if_else(pa.array(found.overlaps), OVERLAPS, REPEATED),
    }
    marked = records.select(list(_RECORD))
    for name, values in columns.items():
        marked = marked.append_column(name, values)
    return marked.filter(pc.and_not(pa.array(found.duplicates), is_filler))


def _counts(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    return [(item["values"].as_py(), item["counts"].as_py()) for item in column.value_counts()]
