"""Binance messages: ``trade`` and ``aggTrade`` of all its markets, bare or in a combined stream.

Source: the exchange's documents of its websocket market streams. Spot alone says ``M``; contracts say
``X`` (how a fill came about) and since 2026 ``st`` (1: USD-M, 2: COIN-M); options say ``S``, whose older
form, 1 or -1, stands in place of ``m``. The older ``trade`` of spot has order ids ``b`` and ``a``.
"""

from typing import Any

import orjson

from k2.exchanges.parsing import (
    OTHER,
    MessageRejected,
    Parsed,
    RawRecord,
    bool_field,
    checked_text,
    decode,
    int_field,
    optional_int,
    optional_str,
    refuse_repeated_names,
    rejected,
    rest_of,
    str_field,
)

# Event kind → the field that numbers its trades.
_ID_FIELD = {"trade": "t", "aggTrade": "a"}
_MARKET_OF_CONTRACT_TYPE: dict[int | None, str] = {1: "usdm", 2: "coinm"}

_MICROS_FROM = 100_000_000_000_000  # no millisecond before the year 5138 is as large


def parse_binance(message: bytes, received_us: int) -> Parsed:
    """Turn one message into a raw record of ``BinanceRawTrade``, without losing any of it.

    Of optional fields the record has those that the message may say.
    """
    try:
        decoded = _decode(message)
        if isinstance(decoded, list):
            return OTHER  # arrays are tickers of all markets
        if not isinstance(decoded, dict):
            raise MessageRejected("not a message")
        stream = decoded.get("stream")
        event = decoded.get("data") if stream is not None else decoded
        kind = _kind(stream, event)
        if kind is None:
            return OTHER
        record = _record(decoded, event, kind, stream, message)  # type: ignore[arg-type]
    except MessageRejected as error:
        return rejected(str(error))
    record["ingestion_timestamp"] = received_us
    trade_time = record["trade_time_ms"]
    return Parsed(
        (record,), event_us=trade_time if trade_time >= _MICROS_FROM else trade_time * 1000
    )


def _decode(message: bytes) -> Any:
    """Decode the message with the fast parser, where that keeps all numbers distinct."""
    if b"-0" in message:
        return decode(message)
    try:
        return orjson.loads(message)
    except orjson.JSONDecodeError:
        return decode(message)


def _kind(stream: Any, event: Any) -> str | None:
    promised = isinstance(stream, str) and stream.endswith(("@trade", "@aggTrade"))
    if not isinstance(event, dict):
        if promised:
            raise MessageRejected("a trade without data")
        return None
    kind = event.get("e")
    if isinstance(kind, str) and kind in _ID_FIELD:
        return kind
    if promised or (not isinstance(kind, str) and "p" in event and "q" in event):
        raise MessageRejected("e is not an event kind")
    return None


def _record(
    decoded: dict[str, Any], event: dict[str, Any], kind: str, stream: Any, message: bytes
) -> RawRecord:
    names = len(event) if stream is None else len(event) + len(decoded)
    refuse_repeated_names(message, names)
    record = _fields(event, kind)
    if stream is not None:
        record["stream"] = checked_text(stream, "stream")
    around = decoded.keys() - {"stream", "data"} if stream is not None and len(decoded) > 2 else ()
    if event or around:
        # What nobody expected may hold numbers that a float would change.
        exact = decode(message)
        exact_event = exact if stream is None else exact["data"]
        record["extra"] = rest_of({name: exact_event[name] for name in event})
        record["message_extra"] = rest_of({name: exact[name] for name in around})
    return record


def _fields(event: dict[str, Any], kind: str) -> RawRecord:
    """Take the values that have a field of their own out of the event."""
    del event["e"]
    is_best_match = bool_field(event, "M") if "M" in event else None
    taker_side = optional_str(event, "S") if "S" in event else None
    record: RawRecord = {
        "event_type": kind,
        "event_time_ms": int_field(event, "E"),
        "symbol": str_field(event, "s"),
        "trade_id": int_field(event, _ID_FIELD[kind]),
        "price": str_field(event, "p"),
        "quantity": str_field(event, "q"),
        "trade_time_ms": int_field(event, "T"),
        "is_buyer_maker": (
            taker_side == "-1" if taker_side in ("1", "-1") else bool_field(event, "m")
        ),
        "is_best_match": is_best_match,
        "market": None if is_best_match is None else "spot",
    }
    if kind == "aggTrade":
        record["aggregate_id"] = record["trade_id"]
    if taker_side is not None:
        record["taker_side"] = taker_side
    if event:  # a trade of spot says no more, and most trades are of spot
        record |= _others(event, kind)
        if is_best_match is None:
            record["market"] = _MARKET_OF_CONTRACT_TYPE.get(record["contract_type"])
    return record


def _others(event: dict[str, Any], kind: str) -> RawRecord:
    numbers = _FILLS if kind == "aggTrade" else _ORDERS
    return {
        **{field: optional_int(event, name) for name, field in numbers},
        "execution_type": optional_str(event, "X"),
        "normal_quantity": optional_str(event, "nq"),
        "contract_type": optional_int(event, "st"),
    }


_FILLS = (("f", "first_trade_id"), ("l", "last_trade_id"))
_ORDERS = (("b", "buyer_order_id"), ("a", "seller_order_id"))
