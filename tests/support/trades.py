"""Bytes, Bronze rows and Silver rows that tests are built on.

Values are written with fastavro and shaped here, not by ``k2``, so that a test compares what K2 does
with something that K2 did not do.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from fastavro import parse_schema, schemaless_writer
from pyspark.sql import DataFrame, SparkSession

from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.exchanges.binance import BINANCE
from k2.exchanges.instruments import shipped_instruments
from k2.exchanges.kraken import KRAKEN
from k2.silver.tables import silver_trades
from k2.storage.delta import ensure_table
from k2.storage.table import Table
from tests.fixtures.crypto_fixtures import Record

SCHEMAS = Path(__file__).parents[2] / "schemas"
BINANCE_ID, KRAKEN_V1_ID, KRAKEN_V2_ID = 1, 2, 3
SCHEMA_TEXT = {
    BINANCE_ID: (SCHEMAS / "binance_raw_trade_v1.avsc").read_text(),
    KRAKEN_V1_ID: (SCHEMAS / "kraken_raw_trade_v1.avsc").read_text(),
    KRAKEN_V2_ID: (SCHEMAS / "kraken_raw_trade_v2.avsc").read_text(),
}
NEWEST_ID = {"binance": BINANCE_ID, "kraken": KRAKEN_V2_ID}
READER = {
    exchange.name: (SCHEMAS / exchange.reader_schema).read_text() for exchange in (BINANCE, KRAKEN)
}
INSTRUMENTS = {name: shipped_instruments(name) for name in NEWEST_ID}

# 2026-07-07 09:30:00 UTC, and the broker's timestamp a second later.
TRADE_SECONDS = 1_783_416_600
TRADE_TIME = datetime.fromtimestamp(TRADE_SECONDS, UTC)
BROKER_TIME = datetime.fromtimestamp(TRADE_SECONDS + 1, UTC)


def binance_raw(**changes: Any) -> Record:
    """One ``BinanceRawTrade``; ``changes`` replace fields."""
    trade = {
        "event_type": "trade",
        "event_time_ms": TRADE_SECONDS * 1000 + 1,
        "symbol": "BTCUSDT",
        "trade_id": 4_100_000_001,
        "price": "61837.63000000",
        "quantity": "0.00100000",
        "trade_time_ms": TRADE_SECONDS * 1000,
        "is_buyer_maker": True,
        "is_best_match": True,
        "ingestion_timestamp": TRADE_SECONDS * 1_000_000 + 40_000,
    }
    assert changes.keys() <= trade.keys()
    return trade | changes


def kraken_raw(**changes: Any) -> Record:
    """One ``KrakenRawTrade`` of version 2; ``changes`` replace fields."""
    trade = {
        "symbol": "BTC/USD",
        "price": "63912.10000",
        "quantity": "0.00300000",
        "trade_time_seconds": f"{TRADE_SECONDS}.000001",
        "side": "b",
        "order_type": "m",
        "misc": "",
        "ingestion_timestamp": TRADE_SECONDS * 1_000_000 + 40_000,
        "trade_id": 91_826_591,
        "sequence_in_message": 0,
    }
    assert changes.keys() <= trade.keys()
    return trade | changes


def raw(exchange: Exchange, **changes: Any) -> Record:
    """One raw trade of an exchange; ``changes`` replace fields."""
    return binance_raw(**changes) if exchange is BINANCE else kraken_raw(**changes)


def avro(record: Record, schema: str) -> bytes:
    """Return the record as Avro, without a header."""
    payload = BytesIO()
    schemaless_writer(payload, parse_schema(json.loads(schema)), record)
    return payload.getvalue()


def header(schema_id: int) -> bytes:
    """Return the five bytes of Confluent's wire format."""
    return b"\0" + schema_id.to_bytes(4, "big")


def framed(record: Record, schema_id: int | None = None, schema: str | None = None) -> bytes:
    """Return a Kafka value; without an id the schema is the newest of the record's exchange."""
    if schema_id is None:
        schema_id = BINANCE_ID if "event_type" in record else KRAKEN_V2_ID
    return header(schema_id) + avro(record, schema or SCHEMA_TEXT[schema_id])


def bronze_row(
    exchange: Exchange,
    value: bytes | None,
    offset: int,
    partition: int = 0,
    kafka_timestamp: datetime = BROKER_TIME,
) -> Record:
    """One Bronze row, with the schema id that the bytes say."""
    id_ = None
    if value is not None and len(value) >= 5 and value[0] == 0:
        said = int.from_bytes(value[1:5], "big")
        id_ = said if said < 2**31 else None
    return {
        "key": b"key",
        "value": value,
        "headers": None,
        "topic": exchange.topic,
        "partition": partition,
        "offset": offset,
        "kafka_timestamp": kafka_timestamp,
        "schema_id": id_,
        "ingested_at": kafka_timestamp,
        "ingest_date": kafka_timestamp.date(),
    }


def bronze_rows(
    exchange: Exchange, values: Iterable[bytes | None], first_offset: int = 0
) -> list[Record]:
    """Bronze rows of one partition, with rising offsets."""
    return [
        bronze_row(exchange, value, offset) for offset, value in enumerate(values, first_offset)
    ]


def silver_row(exchange: Exchange, offset: int, **changes: Any) -> Record:
    """One Silver row; its trade id follows the offset. ``changes`` replace columns."""
    space = f"{1 if exchange is BINANCE else 2:016x}"
    number = 1_000 + offset
    row = {
        "message_id": f"{exchange.name}-20260707-{space}{number:016x}",
        "trade_id": str(number),
        "symbol": "BTC-USDT" if exchange is BINANCE else "BTC-USD",
        "exchange": exchange.name,
        "asset_class": "crypto",
        "timestamp": TRADE_TIME,
        "price": Decimal("61837.63000000"),
        "quantity": Decimal("0.00100000"),
        "currency": "USDT" if exchange is BINANCE else "USD",
        "side": "SELL",
        "trade_conditions": [],
        "source_sequence": number,
        "ingestion_timestamp": TRADE_TIME,
        "platform_sequence": offset,
        "vendor_data": "{}",
        "trade_count": 1,
        "first_trade_id": number,
        "last_trade_id": number,
        "instrument_type": "spot",
        "topic": exchange.topic,
        "partition": 0,
        "offset": offset,
        "schema_id": NEWEST_ID[exchange.name],
        "kafka_timestamp": BROKER_TIME,
        "exchange_date": date(2026, 7, 7),
    }
    assert changes.keys() <= row.keys()
    row |= changes
    if "timestamp" in changes and "exchange_date" not in changes:
        row["exchange_date"] = changes["timestamp"].astimezone(UTC).date()
    return row


def arrow(table: Table, rows: Sequence[Record]) -> pa.Table:
    """Rows as an Arrow table with the columns of ``table``."""
    return pa.Table.from_pylist(list(rows), schema=table.row_schema)


def frame(spark: SparkSession, table: Table, rows: Sequence[Record]) -> DataFrame:
    """Rows as a DataFrame with the columns of ``table``."""
    return spark.createDataFrame(arrow(table, rows))


def bronze_table(exchange: Exchange, values: Iterable[bytes | None]) -> pa.Table:
    """Values as Bronze rows of one partition."""
    return arrow(bronze_trades(exchange), bronze_rows(exchange, values))


def each(rows: pa.Table) -> list[SimpleNamespace]:
    """Rows with their columns as attributes."""
    return [SimpleNamespace(**row) for row in rows.to_pylist()]


def append(lake: Path, table: Table, rows: Sequence[Record]) -> None:
    """Append rows to a stored table in one commit, creating it when it is not there."""
    write_deltalake(ensure_table(lake, table), arrow(table, rows), mode="append")


def append_bronze(
    lake: Path, exchange: Exchange, values: Iterable[bytes | None], first_offset: int = 0
) -> None:
    """Append values to an exchange's Bronze table in one commit."""
    append(lake, bronze_trades(exchange), bronze_rows(exchange, values, first_offset))


def append_silver(lake: Path, exchange: Exchange, rows: Sequence[Record]) -> None:
    """Append rows to an exchange's Silver table in one commit."""
    append(lake, silver_trades(exchange), rows)
