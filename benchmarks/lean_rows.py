"""The lean loader's rows: Kafka messages to Arrow tables of trades and of what is none.

Python decodes with fastavro, a record at a time; everything after that is Arrow, a column at a time.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from hashlib import blake2b, md5
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from fastavro import parse_schema, schemaless_reader

_TIME = pa.timestamp("us", "UTC")
_PRICE = pa.decimal128(18, 8)
_LARGEST = 64 * 1024
_QUOTES = ("FDUSD", "USDT", "USDC", "BTC", "EUR", "ETH", "USD")
_CODES = {"XBT": "BTC", "XDG": "DOGE"}
_NUMBER = r"^[+-]?[0-9]+(\.[0-9]*)?$"
_FITTING = r"^[+-]?0*[0-9]{1,10}(\.[0-9]{0,8}0*)?$"
_2009_US, _2262_US = 1_230_940_800_000_000, 9_214_646_400_000_000
_FIVE_MINUTES_US = 300_000_000

Schemas = Mapping[int, Any]  # parsed, by id; all versions of an exchange's record


class Decoder:
    """Reads wire-format values with the writer's schema; asks for ids that it does not know."""

    def __init__(self, schema_by_id: Callable[[int], str | None]) -> None:
        self._ask = schema_by_id
        self._known: dict[int, Any] = {}

    def read(self, value: bytes | None) -> tuple[dict[str, Any] | None, str | None, int | None]:
        """Return the record, or why there is none, and the schema's id."""
        if value is None:
            return None, "null_value", None
        if not value or len(value) > _LARGEST:
            return None, "oversized_value" if value else "empty_value", None
        if value[0] or len(value) < 5:
            return None, "wrong_magic_byte" if value[0] else "truncated_header", None
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id not in self._known:
            text = self._ask(schema_id)
            self._known[schema_id] = text and parse_schema(json.loads(text))
        schema = self._known[schema_id]
        if not schema:
            return None, "unknown_schema_id", schema_id
        payload = BytesIO(value[5:])
        try:
            record = schemaless_reader(payload, schema, None)
        except (EOFError, IndexError, ValueError, OverflowError, MemoryError, StopIteration):
            return None, "undecodable_payload", schema_id
        if payload.tell() != len(value) - 5:
            return None, "trailing_bytes", schema_id
        return record, None, schema_id


def to_trades(exchange: str, records: Sequence[dict[str, Any]], lineage: pa.Table) -> pa.Table:
    """Return the 15 fields, the lineage, and ``reasons``: broken rules by name, joined; '' for none.

    ``space`` and ``number`` are a trade's identity where the exchange numbers it.
    """
    of = {name: [record.get(name) for record in records] for name in _FIELDS[exchange]}
    symbols = pa.array(of["symbol"], pa.string()).dictionary_encode()
    markets = [_market(exchange, symbol) for symbol in symbols.dictionary.to_pylist()]
    base_quote = pa.array([f"{b}-{q}" if b else None for b, q in markets], pa.string())
    quotes = pa.array([q for _, q in markets], pa.string())
    seconds = of.get("trade_time_seconds")
    times = (
        [_micros(text) for text in seconds] if seconds else [t * 1000 for t in of["trade_time_ms"]]
    )
    time = pa.array(times, pa.int64())
    prices = {name: pa.array(of[name], pa.string()) for name in ("price", "quantity")}
    numbers = pa.array(of["trade_id"], pa.int64())
    spaces = symbols.dictionary.to_pylist()
    space = pa.array([blake2b(s.encode(), digest_size=8).hexdigest() for s in spaces], pa.string())
    identity = pa.array(
        [
            f"{n:016x}" if n is not None else _hash(r)
            for n, r in zip(of["trade_id"], records, strict=True)
        ]
    )
    identity = pc.if_else(
        pc.is_valid(numbers),
        pc.binary_join_element_wise(space.take(symbols.indices), identity, ""),
        identity,
    )
    day = pc.if_else(_within(time), time, None).cast(_TIME).cast(pa.date32())
    days = day.dictionary_encode()
    names = pa.array([_compact(day) for day in days.dictionary.to_pylist()], pa.string())
    columns: dict[str, Any] = {
        "message_id": pc.binary_join_element_wise(
            exchange, names.take(days.indices), identity, "-"
        ),
        "trade_id": pc.coalesce(numbers.cast(pa.string()), identity),
        "symbol": base_quote.take(symbols.indices),
        "exchange": pa.repeat(exchange, len(records)),
        "asset_class": pa.repeat("crypto", len(records)),
        "timestamp": pc.if_else(_within(time), time, None).cast(_TIME),
        **{name: _exact(text) for name, text in prices.items()},
        "currency": quotes.take(symbols.indices),
        "side": _sides(exchange, of),
        "trade_conditions": _conditions(exchange, of),
        "source_sequence": numbers,
        "ingestion_timestamp": pa.array(of["ingestion_timestamp"], pa.int64()).cast(_TIME),
        "platform_sequence": lineage["offset"],
        "vendor_data": _vendor(exchange, of, symbols),
        "exchange_date": day,
    }
    broken = _broken(columns, prices, time, lineage)
    columns |= {name: lineage[name] for name in lineage.column_names}
    columns |= {"reasons": broken, "space": space.take(symbols.indices), "number": numbers}
    return pa.table(columns)


def _broken(
    columns: dict[str, Any], texts: dict[str, Any], time: pa.Array, lineage: pa.Table
) -> Any:
    rules: dict[str, Any] = {"symbol_unknown": pc.is_null(columns["symbol"])}
    for name, text in texts.items():
        is_number = pc.match_substring_regex(text, _NUMBER)
        number = columns[name]
        rules[f"{name}_not_a_number"] = pc.invert(is_number)
        rules[f"{name}_does_not_fit"] = pc.and_(is_number, pc.is_null(number))
        rules[f"{name}_not_positive"] = pc.fill_null(pc.less_equal(number, 0), False)
    broker = lineage["kafka_timestamp"].cast(pa.int64()).combine_chunks()
    received = columns["ingestion_timestamp"].cast(pa.int64())
    rules |= {
        "side_unknown": pc.is_null(columns["side"]),
        "timestamp_missing": pc.is_null(time),
        "timestamp_before_2009": pc.less(time, _2009_US),
        "timestamp_in_future": pc.greater(time, pc.add(broker, _FIVE_MINUTES_US)),
        "ingestion_timestamp_invalid": pc.invert(_within(received)),
    }
    reasons = pa.repeat("", len(time))
    for reason, mask in rules.items():
        mask = pc.fill_null(mask, False)
        if pc.any(mask).as_py():
            reasons = pc.if_else(mask, pc.binary_join_element_wise(reasons, reason, ","), reasons)
    return reasons


_FIELDS = {
    "binance": ("event_type", "event_time_ms", "symbol", "trade_id", "price", "quantity",
                "trade_time_ms", "is_buyer_maker", "is_best_match", "ingestion_timestamp"),
    "kraken": ("symbol", "price", "quantity", "trade_time_seconds", "side", "order_type", "misc",
               "ingestion_timestamp", "trade_id", "sequence_in_message"),
}  # fmt: skip


def _market(exchange: str, symbol: str) -> tuple[str | None, str | None]:
    if exchange == "binance":
        quote = next((q for q in _QUOTES if symbol.endswith(q)), "")
        base = symbol.removesuffix(quote)
    else:
        base, _, quote = symbol.partition("/")
    if not (quote and base.isalnum() and quote.isalnum()):
        return None, None
    return _CODES.get(base, base), _CODES.get(quote, quote)


def _micros(text: str) -> int | None:
    whole, _, part = text.partition(".")
    try:
        return int(whole) * 1_000_000 + int(part.ljust(6, "0")[:6] or 0)
    except ValueError:
        return None


def _hash(record: dict[str, Any]) -> str:
    place = record.get("sequence_in_message") or 0
    fields = [str(record[name]) for name in _FIELDS["kraken"][:7]]
    return md5("|".join([*fields, str(place)]).encode(), usedforsecurity=False).hexdigest()


def _compact(day: date | None) -> str | None:
    return f"{day:%Y%m%d}" if day else None


def _exact(text: pa.Array) -> pa.Array:
    fits = pc.match_substring_regex(text, _FITTING)
    return pc.if_else(fits, text, None).cast(_PRICE)


def _within(time: pa.Array) -> Any:
    return pc.and_(pc.greater_equal(time, _2009_US), pc.less(time, _2262_US))


def _sides(exchange: str, of: dict[str, list[Any]]) -> Any:
    if exchange == "binance":
        return pc.if_else(pa.array(of["is_buyer_maker"]), "SELL", "BUY")
    return pa.array([{"b": "BUY", "s": "SELL"}.get(side) for side in of["side"]], pa.string())


def _conditions(exchange: str, of: dict[str, list[Any]]) -> Any:
    kind = pa.list_(pa.string())
    if exchange == "binance":
        return pa.array([["aggregate"] if t == "aggTrade" else [] for t in of["event_type"]], kind)
    names = {"l": "limit", "m": "market"}
    pairs = zip(of["order_type"], of["misc"], strict=True)
    return pa.array([[c for c in (names.get(o, o), m) if c] for o, m in pairs], kind)


def _vendor(exchange: str, of: dict[str, list[Any]], symbols: Any) -> Any:
    quoted = pa.array([json.dumps(s) for s in symbols.dictionary.to_pylist()], pa.string())
    start = pc.binary_join_element_wise('{"exchange_symbol":', quoted.take(symbols.indices), "")
    if exchange == "binance":
        times = pa.array(of["event_time_ms"], pa.int64()).cast(pa.string())
        best = {None: "", True: ',"is_best_match":true', False: ',"is_best_match":false'}
        more = (',"event_type":"', pa.array(of["event_type"]), '","event_time_ms":', times,
                pa.array([best[b] for b in of["is_best_match"]]))  # fmt: skip
    else:
        place = [
            f',"sequence_in_message":{n}' if n is not None else ""
            for n in of["sequence_in_message"]
        ]
        more = (',"order_type":', pa.array([json.dumps(t) for t in of["order_type"]]), ',"misc":',
                pa.array([json.dumps(t) for t in of["misc"]]), pa.array(place))  # fmt: skip
    return pc.binary_join_element_wise(start, *more, "}", "")
