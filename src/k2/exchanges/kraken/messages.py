"""Kraken messages: the ``trade`` channel of websocket versions 1 and 2.

Source: the exchange's documents of both versions. Version 1 has no trade ids; version 2 has bare
JSON numbers, which are kept as their literal text. Symbols go through unchanged.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from k2.exchanges.parsing import (
    OTHER,
    Parsed,
    RawRecord,
    Unusable,
    checked_text,
    decode,
    number_text_of,
    rejected,
    text_of,
    whole_of,
)

_V1_FIELDS = ("price", "volume", "time", "side", "order type", "misc")

# What version 2 spells out, in version 1's letters; anything else stays as it is, for Silver to judge.
_SIDE = {"buy": "b", "sell": "s"}
_ORDER_TYPE = {"limit": "l", "market": "m"}

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_SECONDS = re.compile(r"(\d{1,11})(?:\.(\d+))?", re.ASCII)


def parse_kraken(message: bytes, received_us: int) -> Parsed:
    """Turn one message into raw records of ``KrakenRawTrade``."""
    try:
        decoded = decode(message)
        if isinstance(decoded, list):
            trades = _of_version_1(decoded, received_us)
        elif isinstance(decoded, dict):
            trades = _of_version_2(decoded, received_us)
        else:
            raise Unusable("not a message")
    except Unusable as error:
        return rejected(str(error))
    if not trades:
        return OTHER
    return Parsed(tuple(trades), event_us=_micros(trades[0]["trade_time_seconds"]))


def epoch_text(timestamp: str) -> str:
    """Return an RFC 3339 time as exact ``seconds.micros``; digits beyond the sixth are kept.

    Raises:
        Unusable: it is not such a time.
    """
    found = _RFC3339.fullmatch(timestamp)
    if not found:
        raise Unusable("timestamp is not an RFC 3339 time")
    seconds, fraction, offset = found.groups()
    return f"{_epoch_seconds(seconds.upper(), offset.upper())}.{(fraction or '').ljust(6, '0')}"


def _of_version_1(message: list[Any], received_us: int) -> list[RawRecord]:
    if len(message) < 4 or type(message[-2]) is not str:
        raise Unusable("not a channel message")
    if message[-2] != "trade":
        return []
    trades, symbol = message[1], checked_text(message[-1], "pair")
    if not isinstance(trades, list):
        raise Unusable("trades are not a list")
    return [
        _v1_record(trade, symbol, position, received_us) for position, trade in enumerate(trades)
    ]


def _v1_record(trade: Any, symbol: str, position: int, received_us: int) -> RawRecord:
    if not isinstance(trade, list) or len(trade) != len(_V1_FIELDS):
        raise Unusable(f"trade {position} has not {len(_V1_FIELDS)} fields")
    price, volume, time, side, order_type, misc = map(checked_text, trade, _V1_FIELDS)
    return {
        "symbol": symbol,
        "price": price,
        "quantity": volume,
        "trade_time_seconds": time,
        "side": side,
        "order_type": order_type,
        "misc": misc,
        "ingestion_timestamp": received_us,
        "trade_id": None,
        "sequence_in_message": position,
    }


def _of_version_2(message: dict[str, Any], received_us: int) -> list[RawRecord]:
    trades = message.get("data")
    if message.get("channel") != "trade":
        if "channel" not in message and isinstance(trades, list):
            raise Unusable("data without a channel")
        return []
    if message.get("type") not in ("snapshot", "update"):
        raise Unusable("type is not snapshot or update")
    if not isinstance(trades, list):
        raise Unusable("data is not a list")
    return [_v2_record(trade, position, received_us) for position, trade in enumerate(trades)]


def _v2_record(trade: Any, position: int, received_us: int) -> RawRecord:
    if not isinstance(trade, dict):
        raise Unusable(f"trade {position} is not an object")
    side, order_type = text_of(trade, "side"), text_of(trade, "ord_type")
    return {
        "symbol": text_of(trade, "symbol"),
        "price": number_text_of(trade, "price"),
        "quantity": number_text_of(trade, "qty"),
        "trade_time_seconds": epoch_text(text_of(trade, "timestamp")),
        "side": _SIDE.get(side, side),
        "order_type": _ORDER_TYPE.get(order_type, order_type),
        "misc": "",
        "ingestion_timestamp": received_us,
        "trade_id": whole_of(trade, "trade_id"),
        "sequence_in_message": position,
    }


@lru_cache(maxsize=4096)
def _epoch_seconds(text: str, offset: str) -> int:
    zone = "+00:00" if offset == "Z" else offset
    try:
        moment = datetime.fromisoformat(text + zone)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise Unusable(f"timestamp is no date and time: {error}") from error


def _micros(seconds: str) -> int | None:
    found = _SECONDS.fullmatch(seconds)
    if not found:
        return None
    whole, fraction = found.groups()
    return int(whole) * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])
