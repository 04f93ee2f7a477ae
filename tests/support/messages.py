"""Exchange messages written again from raw records: what a record does not say is missing here.

It shares no code with ``k2``. ``extra`` holds fields that a record has no other place for, and those
that its own form does not say exactly; both win over what is worked out from the other fields.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from tests.fixtures.crypto_fixtures import Record


class Number(str):
    """A JSON number by its text."""

    __slots__ = ()


def read_json(text: bytes | str) -> Any:
    """Read JSON, every number as its text, and all fields of an object in the order of their names."""
    return json.loads(
        text,
        parse_int=lambda number: ("number", number),
        parse_float=lambda number: ("number", number),
        object_pairs_hook=lambda pairs: ("object", sorted(pairs)),
    )


def binance_message(records: Sequence[Record]) -> Any:
    (record,) = records
    is_aggregate = record["event_type"] == "aggTrade"
    assert (record["aggregate_id"] == record["trade_id"]) is is_aggregate
    said = {
        "e": record["event_type"],
        "E": record["event_time_ms"],
        "s": record["symbol"],
        "a" if is_aggregate else "t": record["trade_id"],
        "p": record["price"],
        "q": record["quantity"],
        "T": record["trade_time_ms"],
        "f": record["first_trade_id"],
        "l": record["last_trade_id"],
        "M": record["is_best_match"],
        "X": record["execution_type"],
        "nq": record["normal_quantity"],
        "st": record["contract_type"],
        "S": record["taker_side"],
    }
    if not is_aggregate:
        said |= {"b": record["buyer_order_id"], "a": record["seller_order_id"]}
    if record["taker_side"] not in ("1", "-1"):
        said["m"] = record["is_buyer_maker"]
    event = there(said) | rest(record["extra"])
    if record["stream"] is None:
        return event
    return {"stream": record["stream"], "data": event} | rest(record["message_extra"])


def kraken_message(records: Sequence[Record]) -> Any:
    first = records[0]
    around = rest(first["message_extra"])
    if first["message_type"] == "v1":
        channel = around.get("channel_id", first["channel_id"])
        trades = [[record[name] for name in KRAKEN_V1] for record in records]
        return [channel, trades, *around.get("more", []), "trade", first["symbol"]]
    data = [kraken_v2_trade(record) for record in records]
    return {"channel": "trade", "type": first["message_type"], "data": data} | around


KRAKEN_V1 = ("price", "quantity", "trade_time_seconds", "side", "order_type", "misc")


def kraken_v2_trade(record: Record) -> Record:
    seconds, _, fraction = record["trade_time_seconds"].partition(".")
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))
    return {
        "symbol": record["symbol"],
        "side": {"b": "buy", "s": "sell"}.get(record["side"], record["side"]),
        "price": Number(record["price"]),
        "qty": Number(record["quantity"]),
        "ord_type": {"l": "limit", "m": "market"}.get(record["order_type"], record["order_type"]),
        "trade_id": record["trade_id"],
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z",
    } | rest(record["extra"])


def coinbase_message(records: Sequence[Record]) -> Any:
    first = records[0]
    if first["message_type"] != "market_trades":
        said = {
            "type": first["message_type"],
            "sequence": first["sequence"],
            "maker_order_id": first["maker_order_id"],
            "taker_order_id": first["taker_order_id"],
            "trade_id": first["trade_id"],
        }
        return said | coinbase_trade(first)
    around = rest(first["message_extra"])
    left = around.pop("events", {})
    events = {int(place): event for place, event in left.items()}
    for place, group in groupby(records, key=lambda record: record["event_in_message"]):
        trades = list(group)
        said = {"type": trades[0]["event_type"]}
        said["trades"] = [
            {"trade_id": str(record["trade_id"])} | coinbase_trade(record) for record in trades
        ]
        events[place] = said | events.get(place, {})
    return (
        there({"client_id": first["client_id"]})
        | {
            "channel": "market_trades",
            "timestamp": first["message_time"],
            "sequence_num": first["sequence"],
            "events": [events[place] for place in sorted(events)],
        }
        | around
    )


def coinbase_trade(record: Record) -> Record:
    return {
        "product_id": record["symbol"],
        "price": record["price"],
        "size": record["quantity"],
        "time": record["trade_time"],
        "side": record["maker_side"],
    } | rest(record["extra"])


MESSAGE_OF = {"binance": binance_message, "kraken": kraken_message, "coinbase": coinbase_message}


def there(fields: Record) -> Record:
    return {name: value for name, value in fields.items() if value is not None}


def rest(text: str | None) -> Record:
    if text is None:
        return {}
    fields: Record = json.loads(text, parse_int=Number, parse_float=Number)
    return fields


def as_read(message: Any) -> Any:
    """A message in the form in which :func:`read_json` gives one."""
    if isinstance(message, dict):
        return ("object", sorted((name, as_read(value)) for name, value in message.items()))
    if isinstance(message, list):
        return [as_read(value) for value in message]
    if type(message) in (int, Number):
        return ("number", str(message))
    return message
