"""Binance's live services: spot and USD-M futures, single trades or aggregates.

Sources: the exchange's documents of its spot and USD-M websocket market streams and of the endpoints
``historicalTrades`` and ``aggTrades``. An acknowledged subscription proves nothing: unknown names
are acknowledged, too; and USD-M streams are silent on another path than their own.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson

from k2.exchanges.live import Get, History, LiveService, Missing, Notice
from k2.exchanges.parsing import RawRecord
from k2.exchanges.rest import require_ok

_BATCH = 200  # names in one SUBSCRIBE
_PAGE = 1_000
_HOURS_24 = 86_400.0


def _subscriptions(kind: str) -> Callable[[Sequence[str]], list[str]]:
    def messages(markets: Sequence[str]) -> list[str]:
        names = [f"{market.lower()}@{kind}" for market in markets]
        batches = [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
        return [
            json.dumps({"method": "SUBSCRIBE", "params": batch, "id": number}, ensure_ascii=False)
            for number, batch in enumerate(batches, 1)
        ]

    return messages


def _notice(message: dict[str, Any]) -> Notice | None:
    inner = message.get("data", message)
    if isinstance(inner, dict) and inner.get("e") == "serverShutdown":
        return Notice("shutdown", reason="the server announced that it closes the connection")
    error = message.get("error") or (message if "msg" in message and "code" in message else None)
    if isinstance(error, dict):
        return Notice("failed", reason=f"{error.get('code')}: {error.get('msg')}")
    if "result" in message and "id" in message:
        return Notice("subscribed")
    return None


def _trade_number(record: RawRecord) -> tuple[int, int] | None:
    number = record.get("trade_id")
    return None if number is None else (number, number)


def _fills(record: RawRecord) -> tuple[int, int] | None:
    """The fills of an aggregate, which spot numbers without gaps; a single trade is its own fill."""
    if record.get("event_type") == "trade":
        return _trade_number(record)
    first, last = record.get("first_trade_id"), record.get("last_trade_id")
    return None if first is None or last is None else (first, last)


def _aggregate_number(record: RawRecord) -> tuple[int, int] | None:
    """The aggregate's own number: those of its fills have gaps on USD-M."""
    number = record.get("aggregate_id") or record.get("trade_id")
    return None if number is None else (number, number)


async def _spot_trades(get: Get, missing: Missing) -> AsyncIterator[bytes]:
    """Page ``historicalTrades`` by number; the answer may begin at a later number than asked for."""
    async for row in _by_number(get, "/api/v3/historicalTrades", missing, "id"):
        yield _trade(missing.market, row)


async def _newest_spot_trade(get: Get, market: str) -> bytes | None:
    row = await _newest(get, "/api/v3/trades", market)
    return None if row is None else _trade(market, row)


async def _usdm_aggregates(get: Get, missing: Missing) -> AsyncIterator[bytes]:
    """Page USD-M's ``aggTrades`` by number; they reach back 48 hours."""
    async for row in _by_number(get, "/fapi/v1/aggTrades", missing, "a"):
        yield _aggregate(missing.market, row)


async def _newest_usdm_aggregate(get: Get, market: str) -> bytes | None:
    row = await _newest(get, "/fapi/v1/aggTrades", market)
    return None if row is None else _aggregate(market, row)


def _trade(market: str, row: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "e": "trade",
            "E": row["time"],
            "s": market,
            "t": row["id"],
            "p": row["price"],
            "q": row["qty"],
            "T": row["time"],
            "m": row["isBuyerMaker"],
            "M": row.get("isBestMatch", True),
        }
    )


def _aggregate(market: str, row: dict[str, Any]) -> bytes:
    event = {"e": "aggTrade", "E": row["T"], "s": market}
    return orjson.dumps(event | {key: row[key] for key in row if key != "M"})


async def _newest(get: Get, path: str, market: str) -> dict[str, Any] | None:
    """The last row of those that the exchange gives without being told from where."""
    rows = orjson.loads(require_ok(await get(path, {"symbol": market, "limit": "1"}), path))
    return rows[-1] if rows else None


async def _by_number(
    get: Get, path: str, missing: Missing, number: str
) -> AsyncIterator[dict[str, Any]]:
    following = missing.first
    while following <= missing.last:
        limit = min(_PAGE, missing.last - following + 1)
        asked = {"symbol": missing.market, "fromId": str(following), "limit": str(limit)}
        rows = orjson.loads(require_ok(await get(path, asked), path))
        for row in rows:
            if row[number] <= missing.last:
                yield row
        if not rows or rows[-1][number] < following:
            return
        following = rows[-1][number] + 1


def _service(
    name: str,
    url: str,
    kind: str,
    numbers: Callable[[RawRecord], tuple[int, int] | None],
    history: History,
    message_seconds: float,
) -> LiveService:
    return LiveService(
        name=name,
        exchange="binance",
        market="usdm" if name == "binance-usdm" else "spot",
        separator="",
        url=url,
        subscribe=_subscriptions(kind),
        notice=_notice,
        numbers=numbers,
        history=history,
        max_markets=1_000,  # 1,024 streams; one more loses them all
        message_seconds=message_seconds,
        max_connects=250,  # 300 in five minutes for an address
        connects_seconds=300.0,
        lifetime_seconds=_HOURS_24,
    )


_SPOT_URL = "wss://stream.binance.com:9443/stream"
# historicalTrades and trades: weight 25 of 6,000 a minute; aggTrades on USD-M: 20 of 2,400.
_SPOT_HISTORY = History(
    *("https://api.binance.com", "/api/v3/exchangeInfo", 0.5),
    fetch=_spot_trades,
    newest=_newest_spot_trade,
)
_USDM_HISTORY = History(
    *("https://fapi.binance.com", "/fapi/v1/exchangeInfo", 1.0),
    fetch=_usdm_aggregates,
    newest=_newest_usdm_aggregate,
)

BINANCE_SERVICES = (
    _service(
        "binance-spot",
        _SPOT_URL,
        "trade",
        _trade_number,
        _SPOT_HISTORY,
        0.5,
    ),
    _service(
        "binance-spot-aggregates",
        _SPOT_URL,
        "aggTrade",
        _fills,
        _SPOT_HISTORY,  # of single trades: aggregates cannot be asked for by a fill's number
        0.5,
    ),
    # aggTrade is delivered on /market only: elsewhere it is acknowledged and silent.
    _service(
        "binance-usdm",
        "wss://fstream.binance.com/market/stream",
        "aggTrade",
        _aggregate_number,
        _USDM_HISTORY,
        0.25,
    ),
)
