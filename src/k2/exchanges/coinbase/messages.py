"""Coinbase Exchange messages: the ``matches`` channel.

Source: the exchange's documents of its websocket feed. A ``last_match`` follows a subscription and
repeats the newest trade before it; it goes through like any other, and Silver knows a repeat by id.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from k2.exchanges.parsing import (
    OTHER,
    Parsed,
    RawRecord,
    Unusable,
    decode,
    rejected,
    text_of,
    whole_of,
)

_MATCHES = ("match", "last_match")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_coinbase(message: bytes, received_us: int) -> Parsed:
    """Turn one message into a raw record of ``CoinbaseRawTrade``."""
    try:
        decoded = decode(message)
        if not isinstance(decoded, dict):
            raise Unusable("not a message")
        kind = decoded.get("type")
        if type(kind) is not str:
            raise Unusable("type is not a text")
        if kind not in _MATCHES:
            return OTHER
        record = _record(decoded, received_us)
        event_us = _micros(record["trade_time"])
    except Unusable as error:
        return rejected(str(error))
    return Parsed((record,), event_us=event_us)


def _record(match: dict[str, Any], received_us: int) -> RawRecord:
    return {
        "message_type": text_of(match, "type"),
        "symbol": text_of(match, "product_id"),
        "trade_id": whole_of(match, "trade_id"),
        "sequence": whole_of(match, "sequence"),
        "price": text_of(match, "price"),
        "quantity": text_of(match, "size"),
        "trade_time": text_of(match, "time"),
        "maker_side": text_of(match, "side"),
        "maker_order_id": text_of(match, "maker_order_id"),
        "taker_order_id": text_of(match, "taker_order_id"),
        "ingestion_timestamp": received_us,
    }


def _micros(time: str) -> int:
    if not _TIME.fullmatch(time):
        raise Unusable("time is not an RFC 3339 time in UTC with at most microseconds")
    try:
        return (datetime.fromisoformat(time) - _EPOCH) // timedelta(microseconds=1)
    except ValueError as error:
        raise Unusable(f"time is no date and time: {error}") from error
