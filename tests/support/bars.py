"""Bars by plain Python, and Gold rows to make them of: what K2's bars are compared with."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from tests.fixtures.crypto_fixtures import Record
from tests.support.trades import BROKER_TIME, TRADE_TIME

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LENGTHS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
_EXACT = Context(prec=200)
_PLACES = Decimal("1e-14")

Key = tuple[str, str, str, datetime]


def gold_row(offset: int, **changes: Any) -> Record:
    """One Gold row; ``changes`` replace columns."""
    row = {
        "message_id": f"binance-{offset}",
        "trade_id": str(offset),
        "symbol": "BTC-USDT",
        "exchange": "binance",
        "asset_class": "crypto",
        "timestamp": TRADE_TIME,
        "price": Decimal("61837.63"),
        "quantity": Decimal("0.001"),
        "currency": "USDT",
        "instrument_type": "spot",
        "side": "SELL",
        "trade_conditions": [],
        "source_sequence": offset,
        "ingestion_timestamp": TRADE_TIME,
        "platform_sequence": offset,
        "vendor_data": "{}",
        "trade_count": 1,
        "trade_value_usd": None,
        "topic": "market.crypto.trades.binance.raw",
        "partition": 0,
        "offset": offset,
        "kafka_timestamp": BROKER_TIME,
        "is_late": False,
    }
    assert changes.keys() <= row.keys()
    row |= changes
    moment = row["timestamp"].astimezone(UTC)
    return row | {"exchange_date": moment.date(), "exchange_hour": moment.hour}


def plain_bars(trades: Iterable[Record]) -> dict[Key, Record]:
    """Bars of all lengths, each from its trades and not from shorter bars."""
    windows: dict[Key, list[Record]] = defaultdict(list)
    for trade in trades:
        for name, length in LENGTHS.items():
            start = EPOCH + (trade["timestamp"] - EPOCH) // length * length
            windows[trade["exchange"], trade["symbol"], name, start].append(trade)
    return {key: _bar(key, inside) for key, inside in windows.items()}


def _bar(key: Key, trades: list[Record]) -> Record:
    ordered = sorted(trades, key=_place)
    volume = _sum(t["quantity"] for t in trades)
    quote_volume = _sum(_EXACT.multiply(t["price"], t["quantity"]) for t in trades)
    exchange, symbol, timeframe, start = key
    return {
        "exchange": exchange,
        "symbol": symbol,
        "instrument_type": trades[0]["instrument_type"],
        "timeframe": timeframe,
        "bar_start": start,
        "open": ordered[0]["price"],
        "high": max(t["price"] for t in trades),
        "low": min(t["price"] for t in trades),
        "close": ordered[-1]["price"],
        "volume": volume,
        "quote_volume": quote_volume,
        "vwap": _EXACT.divide(quote_volume, volume).quantize(_PLACES, ROUND_HALF_UP, _EXACT),
        "trade_count": sum(t["trade_count"] for t in trades),
        "taker_buy_volume": _sum(t["quantity"] for t in trades if t["side"] == "BUY"),
    }


def _place(trade: Record) -> tuple[Any, ...]:
    sequence = trade["source_sequence"]
    return (
        trade["timestamp"],
        (0, 0) if sequence is None else (1, sequence),
        trade["offset"],
        trade["partition"],
    )


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for number in numbers:
        total = _EXACT.add(total, number)
    return total
