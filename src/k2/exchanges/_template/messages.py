"""Template messages: ``{"type": "trade", …}``.

Source: name the document of the channel here, with its example message.
"""

from typing import Any

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


def parse_template(message: bytes, received_us: int) -> Parsed:
    """Turn one message into a raw record of ``TemplateRawTrade``, without losing any of it."""
    try:
        decoded = decode(message)
        if not isinstance(decoded, dict):
            raise MessageRejected("not a message")
        if decoded.get("type") != "trade":
            return OTHER
        refuse_repeated_names(message, len(decoded))
        record = _record(decoded)
    except MessageRejected as error:
        return rejected(str(error))
    record["ingestion_timestamp"] = received_us
    return Parsed((record,), event_us=record["trade_time_ms"] * 1000)


def _record(trade: dict[str, Any]) -> RawRecord:
    """Take the fields out of a trade; what is left over is kept as ``extra``."""
    del trade["type"]
    record: RawRecord = {
        "symbol": str_field(trade, "product"),
        "trade_id": int_field(trade, "id"),
        "price": str_field(trade, "price"),
        "quantity": str_field(trade, "size"),
        "taker_side": str_field(trade, "side"),
        "trade_time_ms": int_field(trade, "time"),
    }
    return record | {"extra": rest_of(trade)}
