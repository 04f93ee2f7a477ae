"""Messages through Silver and Gold to bars, on real tables, without Kafka and Spark."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.bars.aggregate import MADE_OF, add_up, to_minute_bars
from k2.bars.table import TIMEFRAMES
from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.exchanges.parsers import parser_of
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.settings import Settings
from k2.silver.processor import SilverProcessor
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.delta import ensure_table
from k2.storage.scan import scan_table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.fixtures.crypto_fixtures import Record
from tests.support.trades import arrow, bronze_row

SCHEMA_ID = 1
APP = "silver/v1"
BROKER_TIME = datetime(2026, 10, 1, tzinfo=UTC)
_OF_FILLS_TOO = ("rows", "first_trade", "last_trade", "oldest", "newest")


class Lakehouse:
    """The tables of one exchange; batches of messages go in."""

    def __init__(self, home: Path, exchange: Exchange) -> None:
        self.exchange = exchange
        self.settings = Settings(home=home)
        for table in (silver_trades, duplicates, dead_letters):
            ensure_table(self.settings.lake, table(exchange))
        self._reader = schema_text(exchange.reader_schema)
        self._encode = encoder(self._reader, SCHEMA_ID)
        self._offset = 0
        self._batch = 0
        self.start()

    def start(self) -> None:
        """Begin as a process does that knows only what is stored."""
        self._writer = ArrowWriter(self.settings.lake)
        self._processor = SilverProcessor(self.exchange, self.settings, self, self._reader)

    def stop(self) -> None:
        """Close what is open."""
        self._processor.close()

    def schema_by_id(self, schema_id: int) -> str | None:
        """Return the one schema there is."""
        return self._reader if schema_id == SCHEMA_ID else None

    def take(self, *messages: Record) -> None:
        """Take messages as one batch."""
        parse = parser_of(self.exchange.name)
        rows = []
        for message in messages:
            for record in parse(orjson.dumps(message), 1_790_000_000_000_000).trades:
                row = bronze_row(self.exchange, self._encode(record), self._offset)
                moment = BROKER_TIME + timedelta(milliseconds=self._offset)
                rows.append(row | {"kafka_timestamp": moment})
                self._offset += 1
        bronze = arrow(bronze_trades(self.exchange), rows)
        self._processor.process(self._writer.hold(bronze), TxnId(APP, self._batch))
        self._batch += 1

    def rows(self, table: Any) -> list[Record]:
        """Return a table's rows, by offset."""
        found: list[Record] = (
            scan_table(self.settings.lake, table(self.exchange)).table().to_pylist()
        )
        return sorted(found, key=lambda row: row["offset"])

    @property
    def trades(self) -> list[Record]:
        """Silver."""
        return self.rows(silver_trades)

    @property
    def duplicates(self) -> list[tuple[int, str]]:
        """Offset and reason of each duplicate."""
        return [(row["offset"], row["reason"]) for row in self.rows(duplicates)]

    @property
    def dead_letters(self) -> list[tuple[int, str, list[str]]]:
        """Offset, kind and reasons of each dead letter."""
        return [
            (row["offset"], row["error_type"], row["error_reasons"])
            for row in self.rows(dead_letters)
        ]

    def bars(self, timeframes: Sequence[str] = tuple(TIMEFRAMES)) -> list[Record]:
        """Return the bars of all that Gold would hold, without what tells rows from fills."""
        names = [
            name for name in GOLD_TRADES.columns if name in silver_trades(self.exchange).columns
        ]
        silver = scan_table(self.settings.lake, silver_trades(self.exchange), names).table()
        minutes = to_minute_bars(to_gold(silver, 5).select(MADE_OF))
        made = add_up((minutes, timeframes)).drop_columns(list(_OF_FILLS_TOO)).to_pylist()
        priced = [bar for bar in made if bar["open"] is not None]
        return sorted(priced, key=lambda bar: (bar["symbol"], bar["timeframe"], bar["bar_start"]))
