"""A home whose Bronze was decided into Silver without Spark, and whose registry is known from its cache alone."""

from k2.avro.schema_files import schema_text
from k2.bronze.table import bronze_trades
from k2.connectors.schema_cache import SchemaCache
from k2.exchanges.kraken import KRAKEN
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.processor import SilverProcessor
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.silver.transform import NEEDED
from k2.storage.delta import ensure_table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from k2.topology import schema_cache
from tests.support.trades import SCHEMA_TEXT, append, arrow, bronze_rows


class SilverLake:
    """Kraken's tables, filled batch by batch."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._taken = self._batches = 0
        self._schemas: dict[int, str] = {}
        for schema_id, text in SCHEMA_TEXT.items():
            self.teach(schema_id, text)

    def teach(self, schema_id: int, text: str) -> None:
        """Let the registry have told a schema."""
        self._schemas[schema_id] = text
        SchemaCache(schema_cache(self.settings, "")).write(schema_id, text)

    def schema_by_id(self, schema_id: int) -> str | None:
        """Return what was taught, as a registry does."""
        return self._schemas.get(schema_id)

    def receive(self, *values: bytes | None) -> list[dict]:
        """Append values to Bronze alone."""
        rows = bronze_rows(KRAKEN, values, self._taken)
        self._taken += len(rows)
        append(self.settings.lake, bronze_trades(KRAKEN), rows)
        return rows

    def take(self, *values: bytes | None) -> None:
        """Append values to Bronze, and decide them."""
        rows = arrow(bronze_trades(KRAKEN), self.receive(*values)).select(NEEDED)
        for table in (silver_trades, duplicates, dead_letters, resolutions):
            ensure_table(self.settings.lake, table(KRAKEN))
        writer = ArrowWriter(self.settings.lake)
        reader = schema_text(KRAKEN.reader_schema)
        lists = InstrumentLists(self.settings)
        processor = SilverProcessor(KRAKEN, self.settings, self, reader, lists=lists)
        processor.process(writer.hold(rows), TxnId("silver-kraken/v1", self._batches))
        processor.close()
        self._batches += 1
