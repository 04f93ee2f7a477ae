"""Events of live feeds as rows of ``ops_feed_sessions``: none is left out, whatever it holds."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

# From an exchange, a market kind such as spot, and the exchange's own name: the symbol, if it has one.
FindSymbol = Callable[[str, str], str | None]

_ROW_KEYS = frozenset(
    {"time_us", "event", "exchange", "service", "session", "markets", "reason"}
    | {"first", "last", "after_us", "before_us"}
)
_MAX_TEXT = 2_000


class EventRecord(NamedTuple):
    """An event as Kafka has it; ``time_ms`` is the record's, since 1970."""

    value: bytes
    topic: str
    partition: int
    offset: int
    time_ms: int


def rows_of(record: EventRecord, find_symbol: FindSymbol) -> Iterator[dict[str, Any]]:
    """Yield the rows of an event, one for each of its markets; one where it names none.

    ``find_symbol`` is asked with the live service and the exchange's own name. What is no event of
    K2's becomes a row ``unreadable``.
    """
    try:
        yield from _read(record, find_symbol)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        text = record.value[:_MAX_TEXT].decode("utf-8", "replace")
        detail = orjson.dumps({"value": text, "problem": str(error)[:200]}).decode()
        at = _time(record.time_ms * 1_000) if 0 <= record.time_ms < 2**41 else _time(0)
        yield _row(record, 0, at) | {
            **{"event": "unreadable", "exchange": "", "service": ""},
            "detail": detail,
        }


def _read(record: EventRecord, find_symbol: FindSymbol) -> list[dict[str, Any]]:
    said = orjson.loads(record.value)
    service = _text(said["service"])
    shared = _row(record, 0, _time(said["time_us"])) | {
        "event": _text(said["event"]),
        "exchange": _text(said["exchange"]),
        "service": service,
        "session_id": _optional(said.get("session")),
        "reason": _optional(said.get("reason")),
        "first_id": _number(said.get("first")),
        "last_id": _number(said.get("last")),
        "after_at": _time(said["after_us"]) if said.get("after_us") else None,
        "before_at": _time(said["before_us"]) if said.get("before_us") else None,
        "detail": _detail({key: said[key] for key in said if key not in _ROW_KEYS}),
    }
    markets = [_text(market) for market in said.get("markets") or ()]
    return [
        shared
        | {
            "position": position,
            "exchange_symbol": market,
            "symbol": find_symbol(service, market),
        }
        for position, market in enumerate(markets)
    ] or [shared]


def _row(record: EventRecord, position: int, at: datetime) -> dict[str, Any]:
    return {
        "at": at,
        "day": at.date(),
        "position": position,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "kafka_timestamp": _time(record.time_ms * 1_000) if record.time_ms > 0 else at,
    }


def _time(microseconds: int) -> datetime:
    whole, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _optional(value: Any) -> str | None:
    return None if value in (None, "") else _text(value)[:_MAX_TEXT]


def _number(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise TypeError(f"{value!r} is no number of a trade")
    return value


def _detail(rest: dict[str, Any]) -> str | None:
    return orjson.dumps(rest).decode() if rest else None
