"""Every way in which a record can be bad, made on purpose."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from k2.avro.encoding import Encoder, header
from k2.exchanges.parsing import RawRecord

Value = bytes | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US = 60_000_000
_BEFORE_BITCOIN_US = 1_212_278_400_000_000  # 2008-06-01
_UNKNOWN_ID = 2_000_000_000
_OVERSIZED = 70_000


class BadKind(NamedTuple):
    """A defect; exactly one of ``fields`` (of the record) and ``damage`` (to its bytes) is set."""

    name: str
    fields: Callable[[RawRecord], dict[str, Any]] | None = None
    damage: Callable[[bytes], Value] | None = None
    exchange: str | None = None


def _at(record: RawRecord, moment_us: int) -> dict[str, Any]:
    if "trade_time_ms" in record:
        return {"trade_time_ms": moment_us // 1000, "event_time_ms": moment_us // 1000}
    if "trade_time" in record:
        time = _EPOCH + timedelta(microseconds=moment_us)
        return {"trade_time": f"{time:%Y-%m-%dT%H:%M:%S.%fZ}"}
    return {"trade_time_seconds": f"{moment_us // 1_000_000}.{moment_us % 1_000_000:06d}"}


BAD_KINDS: tuple[BadKind, ...] = (
    BadKind("wrong_magic", damage=lambda value: b"\x06" + value[1:]),
    BadKind("truncated", damage=lambda value: value[: len(value) * 2 // 3]),
    BadKind("trailing_bytes", damage=lambda value: value + b"\x00\x01"),
    BadKind("empty", damage=lambda value: b""),
    BadKind("null", damage=lambda value: None),
    BadKind("garbage", damage=lambda value: value[:5] + b"\xff" * 40),
    BadKind("unknown_schema_id", damage=lambda value: header(_UNKNOWN_ID) + value[5:]),
    BadKind("oversized", fields=lambda record: {"symbol": "X" * _OVERSIZED}),
    BadKind("negative_price", fields=lambda record: {"price": "-" + record["price"]}),
    BadKind("zero_quantity", fields=lambda record: {"quantity": "0.00000000"}),
    BadKind("price_too_large", fields=lambda record: {"price": "1" * 19 + ".5"}),
    BadKind("price_too_fine", fields=lambda record: {"price": "1.123456789012345"}),
    BadKind("price_no_number", fields=lambda record: {"price": "n/a"}),
    BadKind("empty_symbol", fields=lambda record: {"symbol": ""}),
    BadKind("unknown_symbol", fields=lambda record: {"symbol": "NOT~A~MARKET"}),
    BadKind("unknown_side", fields=lambda record: {"side": "x"}, exchange="kraken"),
    BadKind(
        "future_time",
        fields=lambda record: _at(record, record["ingestion_timestamp"] + 60 * _MINUTE_US),
    ),
    BadKind("before_2009", fields=lambda record: _at(record, _BEFORE_BITCOIN_US)),
)


def kinds_of(exchange: str) -> tuple[BadKind, ...]:
    """Return the defects that an exchange's records can have."""
    return tuple(kind for kind in BAD_KINDS if kind.exchange in (None, exchange))


def bad_value(kind: BadKind, record: RawRecord, encode: Encoder) -> Value:
    """Return the message value of ``record`` with that defect."""
    if kind.fields is not None:
        return encode({**record, **kind.fields(record)})
    if kind.damage is not None:
        return kind.damage(encode(record))
    raise ValueError(f"bad kind {kind.name} neither changes fields nor bytes")
