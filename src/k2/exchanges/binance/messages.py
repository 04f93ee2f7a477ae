"""Binance messages: spot and USD-M ``trade`` and ``aggTrade``, bare or in a combined stream.

Source: the exchange's documents of its websocket market streams. The older ``trade`` carries order
ids ``b`` and ``a``, which K2 does not keep; futures carry ``X`` and no ``M``.
"""

from typing import Any

import orjson

from k2.exchanges.parsing import (
    OTHER,
    Parsed,
    RawRecord,
    Unusable,
    rejected,
    text_of,
    truth_of,
    whole_of,
)

# Event kind → the field that numbers its trades.
_ID_FIELD = {"trade": "t", "aggTrade": "a"}

_MICROS_FROM = 100_000_000_000_000  # no millisecond before the year 5138 is as large


def parse_binance(message: bytes, received_us: int) -> Parsed:
    """Turn one message into raw records of ``BinanceRawTrade``."""
    try:
        decoded = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        return rejected(f"not JSON: {error}")
    if isinstance(decoded, list):
        return OTHER  # arrays are tickers of all markets
    if not isinstance(decoded, dict):
        return rejected("not a message")
    try:
        stream = decoded.get("stream")
        event = decoded.get("data") if stream is not None else decoded
        kind = _kind(stream, event)
        if kind is None:
            return OTHER
        record = _record(event, kind, received_us)  # type: ignore[arg-type]
    except Unusable as error:
        return rejected(str(error))
    trade_time = record["trade_time_ms"]
    return Parsed(
        (record,), event_us=trade_time if trade_time >= _MICROS_FROM else trade_time * 1000
    )


def _kind(stream: Any, event: Any) -> str | None:
    promised = isinstance(stream, str) and stream.endswith(("@trade", "@aggTrade"))
    if not isinstance(event, dict):
        if promised:
            raise Unusable("a trade without data")
        return None
    kind = event.get("e")
    if isinstance(kind, str) and kind in _ID_FIELD:
        return kind
    if promised or (not isinstance(kind, str) and "p" in event and "q" in event):
        raise Unusable("e is not an event kind")
    return None


def _record(event: dict[str, Any], kind: str, received_us: int) -> RawRecord:
    return {
        "event_type": kind,
        "event_time_ms": whole_of(event, "E"),
        "symbol": text_of(event, "s"),
        "trade_id": whole_of(event, _ID_FIELD[kind]),
        "price": text_of(event, "p"),
        "quantity": text_of(event, "q"),
        "trade_time_ms": whole_of(event, "T"),
        "is_buyer_maker": truth_of(event, "m"),
        "is_best_match": truth_of(event, "M") if "M" in event else None,
        "ingestion_timestamp": received_us,
    }
