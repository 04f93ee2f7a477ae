"""Kraken messages: the ``trade`` channel of websocket versions 1 and 2.

Source: the exchange's documents of both versions. Version 1 has no trade ids; version 2 has bare
JSON numbers, which are kept as their literal text. Symbols go through unchanged.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from k2.exchanges.parsing import (
    OTHER,
    MessageRejected,
    Parsed,
    RawRecord,
    checked_text,
    decode,
    int_field,
    number_field,
    optional_int,
    refuse_repeated_names,
    rejected,
    rest_of,
    str_field,
)

_V1_FIELDS = ("price", "volume", "time", "side", "order type", "misc")

# What version 2 spells out, in version 1's letters; anything else stays as it is, and Silver validates it.
_SIDE = {"buy": "b", "sell": "s"}
_ORDER_TYPE = {"limit": "l", "market": "m"}
_SIDE_OF = {letter: word for word, letter in _SIDE.items()}
_ORDER_TYPE_OF = {letter: word for word, letter in _ORDER_TYPE.items()}
_LETTERS = frozenset("bslm")

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,18}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# A time that its exact seconds say: it can be written again from them.
_WRITTEN_FROM_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,18}Z", re.ASCII)
_SECONDS = re.compile(r"(\d{1,11})(?:\.(\d+))?", re.ASCII)


def parse_kraken(message: bytes, received_us: int) -> Parsed:
    """Turn one message into raw records of ``KrakenRawTrade``, without losing any of it."""
    try:
        decoded = decode(message)
        if isinstance(decoded, list):
            trades = _of_version_1(decoded)
        elif isinstance(decoded, dict):
            trades = _of_version_2(decoded, message)
        else:
            raise MessageRejected("not a message")
    except MessageRejected as error:
        return rejected(str(error))
    if not trades:
        return OTHER
    for trade in trades:
        trade["ingestion_timestamp"] = received_us
    return Parsed(tuple(trades), event_us=_micros(trades[0]["trade_time_seconds"]))


def epoch_text(timestamp: str) -> str:
    """Return an RFC 3339 time as exact ``seconds.micros``; digits beyond the sixth are kept.

    Raises:
        MessageRejected: it is not such a time.
    """
    found = _RFC3339.fullmatch(timestamp)
    if not found:
        raise MessageRejected("timestamp is not an RFC 3339 time")
    seconds, fraction, offset = found.groups()
    return f"{_epoch_seconds(seconds.upper(), offset.upper())}.{(fraction or '').ljust(6, '0')}"


def trade_message(
    symbol: str, price: str, quantity: str, seconds: str, side: str, order_type: str, trade_id: int
) -> bytes:
    """Return a version 2 message of one trade, which the parser reads as these values.

    Version 2 has bare numbers, digits and all. ``side`` and ``order_type`` are version 1's letters.
    """
    trade = (
        f'{{"symbol":{json.dumps(symbol)},"side":"{_SIDE_OF.get(side, side)}","price":{price},'
        f'"qty":{quantity},"ord_type":"{_ORDER_TYPE_OF.get(order_type, order_type)}",'
        f'"trade_id":{trade_id},"timestamp":"{_rfc3339(seconds)}"}}'
    )
    return f'{{"channel":"trade","type":"update","data":[{trade}]}}'.encode()


def _rfc3339(seconds: str) -> str:
    whole, _, fraction = seconds.partition(".")
    moment = datetime.fromtimestamp(int(whole), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{(fraction or '0')[:9].ljust(6, '0')}Z"


def _of_version_1(message: list[Any]) -> list[RawRecord]:
    if _is_private(message):
        return []
    if len(message) < 4 or type(message[-2]) is not str:
        raise MessageRejected("not a channel message")
    if message[-2] != "trade":
        return []
    trades, symbol = message[1], checked_text(message[-1], "pair")
    if not isinstance(trades, list):
        raise MessageRejected("trades are not a list")
    around = {"channel_id": message[0]}
    channel = optional_int(around, "channel_id")
    if len(message) > 4:
        around["more"] = message[2:-2]
    said = {"symbol": symbol, "channel_id": channel, "message_extra": rest_of(around)}
    return [said | _v1_record(trade, position) for position, trade in enumerate(trades)]


def _is_private(message: list[Any]) -> bool:
    """Tell a message of an account's own orders or trades: a list, a channel, ``{"sequence": …}``."""
    return len(message) == 3 and type(message[1]) is str and isinstance(message[2], dict)


def _v1_record(trade: Any, position: int) -> RawRecord:
    if not isinstance(trade, list) or len(trade) != len(_V1_FIELDS):
        raise MessageRejected(f"trade {position} has not {len(_V1_FIELDS)} fields")
    price, volume, time, side, order_type, misc = map(checked_text, trade, _V1_FIELDS)
    return {
        "price": price,
        "quantity": volume,
        "trade_time_seconds": time,
        "side": side,
        "order_type": order_type,
        "misc": misc,
        "trade_id": None,
        "sequence_in_message": position,
        "message_type": "v1",
        "extra": None,
    }


def _of_version_2(message: dict[str, Any], text: bytes) -> list[RawRecord]:
    trades = message.get("data")
    if message.get("channel") != "trade":
        if "channel" not in message and isinstance(trades, list):
            raise MessageRejected("data without a channel")
        return []
    kind = message.get("type")
    if kind not in ("snapshot", "update"):
        raise MessageRejected("type is not snapshot or update")
    if not isinstance(trades, list):
        raise MessageRejected("data is not a list")
    if not all(isinstance(trade, dict) for trade in trades):
        raise MessageRejected("data holds what is no object")
    refuse_repeated_names(text, len(message) + sum(map(len, trades)))
    around = rest_of({name: message[name] for name in message.keys() - _AROUND})
    said = {"channel_id": None, "message_type": kind, "message_extra": around}
    return [said | _v2_record(trade, position) for position, trade in enumerate(trades)]


_AROUND = frozenset({"channel", "type", "data"})


def _v2_record(trade: dict[str, Any], position: int) -> RawRecord:
    side, order_type = str_field(trade, "side"), str_field(trade, "ord_type")
    timestamp = str_field(trade, "timestamp")
    record = {
        "symbol": str_field(trade, "symbol"),
        "price": number_field(trade, "price"),
        "quantity": number_field(trade, "qty"),
        "trade_time_seconds": epoch_text(timestamp),
        "side": _SIDE.get(side, side),
        "order_type": _ORDER_TYPE.get(order_type, order_type),
        "misc": "",
        "trade_id": int_field(trade, "trade_id"),
        "sequence_in_message": position,
    }
    # What cannot be told from the record's form of it: a time of another zone, or a letter for a word.
    if not _WRITTEN_FROM_SECONDS.fullmatch(timestamp) or timestamp < "1970":
        trade["timestamp"] = timestamp
    if side in _LETTERS:
        trade["side"] = side
    if order_type in _LETTERS:
        trade["ord_type"] = order_type
    return record | {"extra": rest_of(trade)}


@lru_cache(maxsize=4096)
def _epoch_seconds(text: str, offset: str) -> int:
    zone = "+00:00" if offset == "Z" else offset
    try:
        moment = datetime.fromisoformat(text + zone)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise MessageRejected(f"timestamp is no date and time: {error}") from error


def _micros(seconds: str) -> int | None:
    found = _SECONDS.fullmatch(seconds)
    if not found:
        return None
    whole, fraction = found.groups()
    return int(whole) * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])
