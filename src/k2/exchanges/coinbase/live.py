"""Coinbase's live services: the ``matches`` channel of Exchange and ``market_trades`` of Advanced Trade.

Sources: the exchange's documents of both websocket feeds, of their channels, and of
``GET /products/{id}/trades``. Matches may be dropped by design; a heartbeat names the newest trade, so
that a hole is known within a second.
"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from k2.exchanges.live import Get, History, LiveService, Missing, Notice
from k2.exchanges.parsing import RawRecord
from k2.exchanges.rest import require_ok

_PAGE = 1_000


def _subscribe_matches(markets: Sequence[str]) -> list[str]:
    channels = ["matches", "heartbeat"]
    return [json.dumps({"type": "subscribe", "product_ids": list(markets), "channels": channels})]


def _subscribe_advanced(markets: Sequence[str]) -> list[str]:
    # One channel a message; heartbeats keep quiet channels open.
    return [
        json.dumps({"type": "subscribe", "product_ids": list(markets), "channel": channel})
        for channel in ("market_trades", "heartbeats")
    ]


def _notice_exchange(message: dict[str, Any]) -> Notice | None:
    kind = message.get("type")
    if kind == "heartbeat":
        last = message.get("last_trade_id")
        market = (str(message.get("product_id")),)
        return Notice("heartbeat", market, last=last if isinstance(last, int) and last else None)
    if kind == "subscriptions":
        channels = message.get("channels") or ()
        named = [c.get("product_ids") or () for c in channels if c.get("name") == "matches"]
        return Notice("subscribed", tuple(product for products in named for product in products))
    if kind == "error":
        reason = str(message.get("reason") or message.get("message"))
        product = reason.partition(" ")[0]
        known = "is not a valid product" in reason or "is delisted" in reason
        return Notice("refused" if known else "failed", (product,) if known else (), reason)
    return None


def _notice_advanced(message: dict[str, Any]) -> Notice | None:
    channel = message.get("channel")
    if channel == "heartbeats":
        return Notice("heartbeat")
    if channel == "subscriptions":
        events = message.get("events") or ()
        named = [(e.get("subscriptions") or {}).get("market_trades") or () for e in events]
        return Notice("subscribed", tuple(product for products in named for product in products))
    if message.get("type") == "error":
        return Notice("failed", reason=str(message.get("message")))
    return None


def _number(record: RawRecord) -> tuple[int, int] | None:
    number = record.get("trade_id")
    return None if number is None else (number, number)


async def _trades(get: Get, missing: Missing) -> AsyncIterator[bytes]:
    """Page down from the newest missing trade: ``after`` is a number, and pages are newest first."""
    after = missing.last + 1
    while after > missing.first:
        rows = await _page(get, missing.market, {"limit": str(_PAGE), "after": str(after)})
        for row in rows:
            if missing.first <= row["trade_id"] <= missing.last:
                yield _message(missing.market, row)
        oldest = min((row["trade_id"] for row in rows), default=after)
        if oldest >= after:
            return
        after = oldest


async def _newest(get: Get, market: str) -> bytes | None:
    rows = await _page(get, market, {"limit": "1"})
    return _message(market, rows[0]) if rows else None


async def _page(get: Get, market: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    path = f"/products/{market}/trades"
    rows: list[dict[str, Any]] = orjson.loads(require_ok(await get(path, asked), path))
    return rows


def _message(market: str, row: dict[str, Any]) -> bytes:
    """A row in the form of Advanced Trade, which like it names no orders.

    Its event is a ``history``, and the 0 in place of a connection's count is no message's number.
    """
    trade = {
        "trade_id": str(row["trade_id"]),
        "product_id": market,
        "price": row["price"],
        "size": row["size"],
        "side": row["side"].upper(),
        "time": row["time"],
    }
    events = [{"type": "history", "trades": [trade]}]
    message = {"channel": "market_trades", "timestamp": row["time"], "sequence_num": 0}
    return orjson.dumps(message | {"events": events})


_HISTORY = History(
    *("https://api.exchange.coinbase.com", "/products", 0.2), fetch=_trades, newest=_newest
)


def _service(name: str, url: str, **functions: Any) -> LiveService:
    return LiveService(
        name=name,
        exchange="coinbase",
        market="spot",
        separator="-",
        url=url,
        numbers=_number,
        history=_HISTORY,
        max_markets=200,
        message_seconds=0.2,
        max_connects=100,
        connects_seconds=60.0,
        silence_seconds=15.0,  # a heartbeat a second
        refuses_all=True,
        **functions,
    )


COINBASE_SERVICES = (
    _service(
        "coinbase-exchange",
        "wss://ws-feed.exchange.coinbase.com",
        acks_markets=True,
        subscribe=_subscribe_matches,
        notice=_notice_exchange,
    ),
    _service(
        "coinbase-advanced",
        "wss://advanced-trade-ws.coinbase.com",
        subscribe=_subscribe_advanced,
        notice=_notice_advanced,
    ),
)
