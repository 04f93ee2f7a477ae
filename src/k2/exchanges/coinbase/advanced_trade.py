"""Coinbase Advanced Trade: the trades of a ``market_trades`` message.

Source: the exchange's document of the channel. A message has events, an event has trades, the newest
first; ``side`` is the maker's, as in a match. ``sequence_num`` counts the messages of a connection.
"""

from typing import Any

from k2.exchanges.parsing import (
    MessageRejected,
    RawRecord,
    int_field,
    json_text,
    optional_str,
    refuse_repeated_names,
    str_field,
)

CHANNEL = "market_trades"
_LONG_MAX = 2**63 - 1


def market_trades(message: dict[str, Any], text: bytes) -> list[RawRecord]:
    """Return raw records of all trades of a message; none if it is of another channel.

    Args:
        message: the decoded message; values that go into records are taken out of it.
        text: the message as it came.

    Raises:
        MessageRejected: a trade of it cannot become a raw record.
    """
    if message["channel"] != CHANNEL:
        return []
    events = message.get("events")
    if not isinstance(events, list):
        raise MessageRejected("events are not a list")
    names = len(message) + sum(map(_count_names, events))
    refuse_repeated_names(text, names)
    del message["channel"], message["events"]
    around = {
        "message_type": CHANNEL,
        "sequence": int_field(message, "sequence_num"),
        "maker_order_id": "",
        "taker_order_id": "",
        "message_time": str_field(message, "timestamp"),
        "client_id": optional_str(message, "client_id"),
    }
    records = [
        around | record
        for position, event in enumerate(events)
        for record in _of_event(event, position)
    ]
    # Of an event that has trades what they do not say is left, of another all of it.
    left = {str(position): event for position, event in enumerate(events) if event}
    rest = message | ({"events": left} if left else {})
    message_extra = json_text(rest) if rest else None
    return [record | {"message_extra": message_extra} for record in records]


def _count_names(event: Any) -> int:
    if not isinstance(event, dict) or not isinstance(event.get("trades"), list):
        raise MessageRejected("an event has no trades")
    if not all(isinstance(trade, dict) for trade in event["trades"]):
        raise MessageRejected("trades hold what is no object")
    return len(event) + sum(map(len, event["trades"]))


def _of_event(event: dict[str, Any], position: int) -> list[RawRecord]:
    if not event["trades"]:
        return []
    said = {"event_type": str_field(event, "type"), "event_in_message": position}
    trades = event.pop("trades")
    return [said | _record(trade, place) for place, trade in enumerate(trades)]


def _record(trade: dict[str, Any], position: int) -> RawRecord:
    record: RawRecord = {
        "symbol": str_field(trade, "product_id"),
        "trade_id": _whole(str_field(trade, "trade_id")),
        "price": str_field(trade, "price"),
        "quantity": str_field(trade, "size"),
        "trade_time": str_field(trade, "time"),
        "maker_side": str_field(trade, "side"),
        "sequence_in_message": position,
    }
    return record | {"extra": json_text(trade) if trade else None}


def _whole(text: str) -> int:
    """Return a trade id as a number whose text is the same again."""
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        raise MessageRejected("trade_id is not a whole number")
    if len(text) > 19 or int(text) > _LONG_MAX:
        raise MessageRejected("trade_id is not a whole number")
    return int(text)
