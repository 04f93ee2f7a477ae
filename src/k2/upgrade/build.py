"""Build the new tables, and the checkpoints with which the streams continue, apart from the live ones.

Each part goes on where a killed run ended: a batch has its number, and no table takes it twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from k2.avro.schema_files import schema_text
from k2.bars.processor import rebuild as rebuild_bars
from k2.bars.table import BARS, BARS_APP, GOLD_OHLCV
from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.home.instrument_lists import InstrumentLists
from k2.quality.table_diff import newest_offsets
from k2.settings import Settings
from k2.silver.known_schemas import KnownSchemas
from k2.silver.rebuild import Rebuild
from k2.silver.schema_lookup import SchemaLookup
from k2.silver.tables import silver_trades
from k2.storage.checkpoints.offset_log import OffsetLog, table_offset
from k2.storage.delta import ensure_table, table_path
from k2.storage.scan import data_files, scan
from k2.storage.table import Layer, Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from k2.upgrade.plan import Plan, Workplace, replaced_tables

_GOLD_APP = "upgrade-gold/v1"
_ROWS_AT_ONCE = 200_000
_STREAM_VERSION = 1  # of the streams whose checkpoints are made here
_GOLD_STREAM = f"{Layer.GOLD}/v{_STREAM_VERSION}"

Say = Callable[[str], None]
StepEnded = Callable[[str, int], None]  # the step's name, and the rows that it wrote or decided


@dataclass(frozen=True)
class Build:
    """The building of one plan, for all exchanges in the order in which Gold reads them."""

    workplace: Workplace
    plan: Plan
    exchanges: Sequence[Exchange]
    registry: SchemaLookup

    def run(self, say: Say, ended: StepEnded = lambda _step, _rows: None) -> None:
        """Make Silver with its dead letters and duplicates, Gold, the bars and the checkpoints.

        ``ended`` is called at the end of each step.

        Raises:
            UnavailableError: a record names a schema that neither the cache nor a registry has.
        """
        for exchange in self.exchanges:
            for table in replaced_tables([exchange]):
                ensure_table(self._home.lake, table)
            if exchange.name in self.plan.bronze:
                ended(f"{Layer.SILVER}-{exchange.name}", self._silver(exchange, say))
        ended(Layer.GOLD, self._gold(say))
        ended(BARS, self._bars(say))
        self._checkpoints()

    def _bronze(self, exchange: Exchange) -> DeltaTable:
        version = self.plan.bronze[exchange.name][1]
        path = table_path(self.workplace.settings.lake, bronze_trades(exchange))
        return DeltaTable(path, version=version)

    @property
    def _home(self) -> Settings:
        return self.workplace.build

    def _silver(self, exchange: Exchange, say: Say) -> int:
        bronze, done = self._bronze(exchange), 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            say(f"Deciding {exchange.title}'s Bronze again: {done:,} records")

        reader = schema_text(exchange.reader_schema)
        ends = newest_offsets([bronze])
        # What replays resolved is decided from Bronze now, like everything else: there is no ledger.
        schemas = KnownSchemas(self.registry, self.workplace.settings.lake, exchange)
        lists = InstrumentLists(self.workplace.settings)
        Rebuild(exchange, self._home, schemas, reader, lists).run(bronze, None, ends, count)
        return done

    def _gold(self, say: Say) -> int:
        gold = ensure_table(self._home.lake, GOLD_TRADES)
        done = gold.transaction_version(_GOLD_APP)
        writer, written = ArrowWriter(self._home.lake), 0
        for batch, part in enumerate(self._parts_of_silver()):
            if done is None or batch > done:
                say(f"Writing Gold: part {batch + 1}")
                rows = to_gold(_read(*part), self._home.lateness_minutes)
                writer.append(GOLD_TRADES, TxnId(_GOLD_APP, batch), rows)
                written += rows.num_rows
        return written

    def _parts_of_silver(self) -> Iterator[tuple[DeltaTable, list[int]]]:
        """Cut Silver's files, which stay as they are, into the same parts on every run."""
        for exchange in self.exchanges:
            silver = DeltaTable(table_path(self._home.lake, silver_trades(exchange)))
            files = data_files(silver)
            rows, names = files["num_records"].to_pylist(), files["path"].to_pylist()
            chosen: list[int] = []
            count = 0
            for at in sorted(range(len(names)), key=names.__getitem__):
                chosen.append(at)
                count += rows[at]
                if count >= _ROWS_AT_ONCE:
                    yield silver, chosen
                    chosen, count = [], 0
            if chosen:
                yield silver, chosen

    def _bars(self, say: Say) -> int:
        ensure_table(self._home.lake, GOLD_OHLCV)
        written = 0
        for day, bars in rebuild_bars(self._home):
            say(f"Making the bars of {day}")
            written += bars
        return written

    def _checkpoints(self) -> None:
        """Say of each stream that it has read all there is of the tables before it."""
        for exchange in self.exchanges:
            if exchange.name in self.plan.bronze:
                self._checkpoint(_silver_app(exchange), [_read_up_to(self._bronze(exchange))])
        silver = [self._end_of(silver_trades(exchange)) for exchange in self.exchanges]
        self._checkpoint(_GOLD_STREAM, silver)
        self._checkpoint(BARS_APP, [self._end_of(GOLD_TRADES)])

    def _end_of(self, table: Table) -> str:
        return _read_up_to(DeltaTable(table_path(self._home.lake, table)))

    def _checkpoint(self, app: str, ends: Sequence[str]) -> None:
        before = OffsetLog(self.workplace.settings.checkpoint(app)).position(len(ends))
        log = OffsetLog(self._home.checkpoint(app))
        log.plan(0, tuple(ends), before.watermark, 0)
        log.commit(0, before.watermark)


def _read_up_to(table: DeltaTable) -> str:
    return table_offset(str(table.metadata().id), table.version() + 1)


def _silver_app(exchange: Exchange) -> str:
    return f"{Layer.SILVER}-{exchange.name}/v{_STREAM_VERSION}"


def _read(silver: DeltaTable, places: Sequence[int]) -> pa.Table:
    """The rows of some of a table's files, with the columns that Gold has too."""
    there = {field.name for field in silver.schema().fields}
    columns = [name for name in GOLD_TRADES.columns if name in there]
    return scan(silver, columns, files=data_files(silver).take(list(places))).table()
