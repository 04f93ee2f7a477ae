"""A scratch lake of two healthy exchanges, whose trades come as a made clock goes on."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from k2.bronze.table import bronze_trades
from k2.exchanges.binance import BINANCE
from k2.exchanges.exchange import Exchange
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.silver.tables import dead_letters, silver_trades
from k2.storage.delta import ensure_table, open_table
from k2.storage.exact_types import rebuilt
from k2.storage.table import Table

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)  # when the history ends and the drill begins
EXCHANGES = (BINANCE, KRAKEN)
HISTORY = timedelta(hours=2)
AHEAD = timedelta(minutes=30)

_BETWEEN_TRADES = timedelta(seconds=10)
# Two markets an exchange: one can fall silent while the exchange does not.
_MARKETS = {"BTC-USDT": Decimal("60000"), "ETH-USDT": Decimal("3000")}
_KEYS = {"BTC-USDT": (b"BTCUSDT", b"BTC/USDT"), "ETH-USDT": (b"ETHUSDT", b"ETH/USDT")}

Row = dict[str, Any]


@dataclass
class PlantedLake:
    """Tables of a scratch home. ``pending`` are rows, by table, that are not written yet.

    A row has all columns of all tables that it is in, and goes to them when the made clock passes its
    ``kafka_timestamp``.
    """

    settings: Settings
    pending: dict[str, list[Row]] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)

    @classmethod
    def healthy(cls, settings: Settings) -> "PlantedLake":
        """Plan two hours of history and half an hour ahead, a trade every ten seconds and market."""
        lake = cls(settings)
        for exchange in EXCHANGES:
            of_exchange = (bronze_trades, silver_trades, dead_letters)
            for table in (*(of(exchange) for of in of_exchange), GOLD_TRADES):
                lake.tables[table.name] = table
                lake.pending.setdefault(table.name, [])
            for row in _trades(exchange):
                lake.add_trade(exchange, row)
        return lake

    def copy(self, settings: Settings) -> "PlantedLake":
        """Return the same plan for a copy of the home."""
        return PlantedLake(settings, deepcopy(self.pending), self.tables)

    def add_trade(self, exchange: Exchange, row: Row) -> None:
        """Plan a trade: a row of Bronze, Silver and Gold."""
        for name in self.trade_tables(exchange):
            self.pending[name].append(dict(row))

    def add_dead_letter(self, exchange: Exchange, row: Row, reason: str) -> None:
        """Plan a record that is no trade: a row of Bronze and of the dead letters."""
        letter = {
            "raw_record": b"",
            "error_type": "rule",
            "error_reasons": [reason],
            "stage": "silver",
            "error_timestamp": row["kafka_timestamp"],
            "dlq_date": row["kafka_timestamp"].date(),
        }
        self.pending[bronze_trades(exchange).name].append(row)
        self.pending[dead_letters(exchange).name].append(row | letter)

    def trade_tables(self, exchange: Exchange) -> list[str]:
        """Return the names of the tables that a trade of an exchange is in."""
        return [bronze_trades(exchange).name, silver_trades(exchange).name, GOLD_TRADES.name]

    def upcoming(self, exchange: Exchange, after: datetime, symbol: str = "") -> Iterator[Row]:
        """Yield the planned rows, in all tables, of trades that come after a time."""
        for name in self.trade_tables(exchange):
            for row in self.pending[name]:
                is_later = row["exchange"] == exchange.name and row["kafka_timestamp"] > after
                if is_later and symbol in ("", row["symbol"]):
                    yield row

    def remove(self, exchange: Exchange, which: Callable[[Row], bool]) -> None:
        """Let planned trades of an exchange not come."""
        for name in self.trade_tables(exchange):
            kept = [r for r in self.pending[name] if r["exchange"] != exchange.name or not which(r)]
            self.pending[name] = kept

    def newest(self, exchange: Exchange, until: datetime) -> Row:
        """Return the row of an exchange's newest trade up to a time, as planned or as written."""
        number = int((until - _start()) / _BETWEEN_TRADES)
        return _trade(exchange, "BTC-USDT", number)

    def delete(self, table: Table, message_id: str) -> None:
        """Delete a row that may be written, or planned."""
        kept = [row for row in self.pending[table.name] if row["message_id"] != message_id]
        self.pending[table.name] = kept
        if (stored := open_table(self.settings.lake, table)) is not None:
            stored.delete(f"message_id = '{message_id}'")

    def write_until(self, moment: datetime) -> None:
        """Write the planned rows up to a moment of the made clock, a commit a table."""
        for name, rows in self.pending.items():
            due = [row for row in rows if row["kafka_timestamp"] <= moment]
            self.pending[name] = [row for row in rows if row["kafka_timestamp"] > moment]
            self._append(self.tables[name], due)

    def _append(self, table: Table, rows: list[Row]) -> None:
        if not rows:
            return
        stored = ensure_table(self.settings.lake, table)
        content = [{column: row.get(column) for column in table.columns} for row in rows]
        together = pa.Table.from_pylist(content, schema=table.row_schema)
        write_deltalake(stored, rebuilt(together, table), mode="append")


def _trades(exchange: Exchange) -> Iterator[Row]:
    count = int((HISTORY + AHEAD) / _BETWEEN_TRADES)
    for number in range(1, count + 1):
        for symbol in _MARKETS:
            yield _trade(exchange, symbol, number)


def _trade(exchange: Exchange, symbol: str, number: int) -> Row:
    place = list(_MARKETS).index(symbol)
    offset = (number - 1) * len(_MARKETS) + place
    return trade_row(exchange, symbol, number, offset, _start() + number * _BETWEEN_TRADES)


def trade_row(
    exchange: Exchange, symbol: str, number: int, offset: int, broker_time: datetime
) -> Row:
    """Return one trade with the columns of Bronze, Silver and Gold."""
    happened = broker_time - timedelta(milliseconds=50)
    price = _MARKETS[symbol] + number % 7
    quantity = Decimal("0.01")
    return {
        "message_id": f"{exchange.name}-{happened:%Y%m%d}-{symbol}-{number}",
        "trade_id": str(number),
        "symbol": symbol,
        "exchange": exchange.name,
        "asset_class": "crypto",
        "timestamp": happened,
        "price": price,
        "quantity": quantity,
        "currency": "USDT",
        "side": "BUY",
        "trade_conditions": [],
        "source_sequence": number,
        "ingestion_timestamp": broker_time,
        "platform_sequence": offset,
        "vendor_data": "{}",
        "instrument_type": "spot",
        "trade_count": 1,
        "first_trade_id": number,
        "last_trade_id": number,
        "trade_value_usd": price * quantity,
        "topic": exchange.topic,
        "partition": 0,
        "offset": offset,
        "schema_id": 1,
        "kafka_timestamp": broker_time,
        "is_late": False,
        "exchange_date": happened.date(),
        "exchange_hour": happened.hour,
        "key": _KEYS[symbol][EXCHANGES.index(exchange)],
        "value": b"\0",
        "headers": [],
        "ingested_at": broker_time,
        "ingest_date": broker_time.date(),
    }


def _start() -> datetime:
    return NOW - HISTORY
