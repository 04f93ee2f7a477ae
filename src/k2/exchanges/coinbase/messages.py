"""Coinbase messages: ``matches`` of Coinbase Exchange and ``market_trades`` of Advanced Trade.

Source: the exchange's documents of both websocket feeds. A ``last_match`` follows a subscription and
repeats the newest trade before it, and a ``snapshot`` of Advanced Trade repeats several. They are passed on
like any other trade; Silver recognises repeats by id.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from k2.exchanges.coinbase.advanced_trade import market_trades
from k2.exchanges.parsing import (
    OTHER,
    MessageRejected,
    Parsed,
    RawRecord,
    decode,
    int_field,
    refuse_repeated_names,
    rejected,
    rest_of,
    str_field,
)

_MATCHES = ("match", "last_match")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,18}))?Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_coinbase(message: bytes, received_us: int) -> Parsed:
    """Turn one message into raw records of ``CoinbaseRawTrade``, without losing any of it."""
    try:
        decoded = decode(message)
        if not isinstance(decoded, dict):
            raise MessageRejected("not a message")
        trades = _trades(decoded, message)
        event_us = [_micros(trade["trade_time"]) for trade in trades]
    except MessageRejected as error:
        return rejected(str(error))
    if not trades:
        return OTHER
    for trade in trades:
        trade["ingestion_timestamp"] = received_us
    return Parsed(tuple(trades), event_us=min(event_us))


def _trades(message: dict[str, Any], text: bytes) -> list[RawRecord]:
    kind = message.get("type")
    if kind is None and type(message.get("channel")) is str:
        return market_trades(message, text)
    if type(kind) is not str:
        raise MessageRejected("type is not a text")
    if kind not in _MATCHES:
        return []
    refuse_repeated_names(text, len(message))
    return [_match(message)]


def _match(match: dict[str, Any]) -> RawRecord:
    record: RawRecord = {
        "message_type": str_field(match, "type"),
        "symbol": str_field(match, "product_id"),
        "trade_id": int_field(match, "trade_id"),
        "sequence": int_field(match, "sequence"),
        "price": str_field(match, "price"),
        "quantity": str_field(match, "size"),
        "trade_time": str_field(match, "time"),
        "maker_side": str_field(match, "side"),
        "maker_order_id": str_field(match, "maker_order_id"),
        "taker_order_id": str_field(match, "taker_order_id"),
    }
    return record | {"extra": rest_of(match)}


def _micros(time: str) -> int:
    found = _TIME.fullmatch(time)
    if not found:
        raise MessageRejected("time is not an RFC 3339 time in UTC")
    seconds, fraction = found.groups()
    try:
        moment = datetime.fromisoformat(f"{seconds}Z")
    except ValueError as error:
        raise MessageRejected(f"time is no date and time: {error}") from error
    # A time with more digits is cut: it belongs to its own microsecond, and to its own day.
    micros = int((fraction or "").ljust(6, "0")[:6])
    return (moment - _EPOCH) // timedelta(microseconds=1) + micros
