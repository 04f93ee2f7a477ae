"""Simulated raw records as the exchange's own websocket messages: what its parser would read them from."""

import json
from collections.abc import Callable
from typing import Any

from k2.exchanges.kraken.messages import trade_message
from k2.exchanges.parsing import RawRecord

_CHANNEL = 337  # of version 1 of Kraken's websocket, which numbers the channels of a connection


def message_of(exchange: str, raw: RawRecord) -> bytes:
    """Return the message of one trade, on one line."""
    return _FORMS[exchange](raw)


def _binance(raw: RawRecord) -> bytes:
    """A combined stream's; ``aggTrade`` for an aggregate, ``X`` in place of ``M`` for a contract."""
    is_aggregate = raw["event_type"] == "aggTrade"
    event: dict[str, Any] = {
        "e": raw["event_type"],
        "E": raw["event_time_ms"],
        "s": raw["symbol"],
        "a" if is_aggregate else "t": raw["trade_id"],
        "p": raw["price"],
        "q": raw["quantity"],
    }
    if is_aggregate:
        event |= {"f": raw["first_trade_id"], "l": raw["last_trade_id"]}
    event |= {"T": raw["trade_time_ms"], "m": raw["is_buyer_maker"]}
    if raw["is_best_match"] is not None:
        event["M"] = raw["is_best_match"]
    else:
        event["X"] = raw["execution_type"]
    stream = f"{raw['symbol'].lower()}@{raw['event_type']}"
    return _json({"stream": stream, "data": event})


def _kraken(raw: RawRecord) -> bytes:
    """Version 2 where the trade has an id, else version 1."""
    if raw.get("trade_id") is None:
        names = ("price", "quantity", "trade_time_seconds", "side", "order_type", "misc")
        return _json([_CHANNEL, [[raw[name] for name in names]], "trade", raw["symbol"]])
    fields = ("symbol", "price", "quantity", "trade_time_seconds", "side", "order_type", "trade_id")
    return trade_message(*(raw[name] for name in fields))


def _coinbase(raw: RawRecord) -> bytes:
    names = {
        "type": "message_type",
        "trade_id": "trade_id",
        "maker_order_id": "maker_order_id",
        "taker_order_id": "taker_order_id",
        "side": "maker_side",
        "size": "quantity",
        "price": "price",
        "product_id": "symbol",
        "sequence": "sequence",
        "time": "trade_time",
    }
    return _json({name: raw[field] for name, field in names.items()})


_FORMS: dict[str, Callable[[RawRecord], bytes]] = {
    "binance": _binance,
    "kraken": _kraken,
    "coinbase": _coinbase,
}


def _json(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
