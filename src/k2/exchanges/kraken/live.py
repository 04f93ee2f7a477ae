"""Kraken's live service: websocket version 2, whose trades have numbers.

Sources: the exchange's documents of the v2 ``trade``, ``status`` and ``heartbeat`` channels and of the
REST endpoint ``Trades``, which is asked by time and answers with the same numbers.
"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from k2.errors import FailedError, UnavailableError
from k2.exchanges.kraken.messages import trade_message
from k2.exchanges.live import Answer, Get, History, LiveService, Missing, Notice
from k2.exchanges.parsing import MessageRejected, RawRecord, decode
from k2.exchanges.rest import LimitedError, require_ok

_BATCH = 100
_BEFORE_US = 1_000_000  # `since` has been read as inclusive and as exclusive: begin earlier
_PATH = "/0/public/Trades"


def _subscribe(markets: Sequence[str]) -> list[str]:
    batches = [markets[start : start + _BATCH] for start in range(0, len(markets), _BATCH)]
    return [
        json.dumps(
            {
                "method": "subscribe",
                # The last 50 trades overlap with what a connection before this one received.
                "params": {"channel": "trade", "symbol": list(batch), "snapshot": True},
                "req_id": number,
            },
            ensure_ascii=False,
        )
        for number, batch in enumerate(batches, 1)
    ]


def _notice(message: dict[str, Any]) -> Notice | None:
    if message.get("method") == "subscribe":
        result = message.get("result") or {}
        symbol = result.get("symbol") or message.get("symbol")
        markets = (str(symbol),) if symbol else ()
        if message.get("success"):
            return Notice("subscribed", markets)
        return Notice("refused" if markets else "failed", markets, str(message.get("error")))
    channel = message.get("channel")
    if channel == "heartbeat":
        return Notice("heartbeat")
    if channel == "status":
        states = [str(item.get("system")) for item in message.get("data", ())]
        return Notice("status", reason=", ".join(states))
    return None


def _number(record: RawRecord) -> tuple[int, int] | None:
    number = record.get("trade_id")
    return None if number is None else (number, number)


async def _trades(get: Get, missing: Missing) -> AsyncIterator[bytes]:
    """Page ``Trades`` from just before the missing ones; ``last`` is the next page's ``since``."""
    since = str((missing.after_us - _BEFORE_US) * 1_000)
    while True:
        asked = {"pair": missing.market, "since": since, "count": "1000"}
        rows, last = _page(await get(_PATH, asked))
        for row in rows:
            if missing.first <= row[6] <= missing.last:
                yield _message(missing.market, row)
        if not rows or rows[-1][6] >= missing.last or last in (None, since):
            return
        since = str(last)


async def _newest(get: Get, market: str) -> bytes | None:
    """Ask without ``since``, which gives the last 1,000 trades."""
    rows, _last = _page(await get(_PATH, {"pair": market}))
    return _message(market, rows[-1]) if rows else None


def _page(answer: Answer) -> tuple[list[list[Any]], Any]:
    try:
        decoded = decode(require_ok(answer, _PATH))
    except MessageRejected as error:
        raise UnavailableError(f"{_PATH} did not answer in JSON: {error}") from error
    errors = ", ".join(decoded.get("error") or ())
    if "Rate limit" in errors or "Throttled" in errors:
        raise LimitedError(f"{_PATH}: {errors}", None)
    if "EService" in errors:
        raise UnavailableError(f"{_PATH}: {errors}")
    if errors:
        raise FailedError(f"{_PATH}: {errors}")
    result = decoded.get("result") or {}
    # The pair is answered under a name of the exchange's choice.
    rows: list[list[Any]] = next((value for key, value in result.items() if key != "last"), [])
    return [row for row in rows if len(row) > 6 and row[6]], result.get("last")


def _message(market: str, row: list[Any]) -> bytes:
    price, volume, time, side, order_type = (str(value) for value in row[:5])
    return trade_message(market, price, volume, time, side, order_type, row[6])


KRAKEN_SERVICES = (
    LiveService(
        name="kraken",
        exchange="kraken",
        market="spot",
        separator="/",
        url="wss://ws.kraken.com/v2",
        subscribe=_subscribe,
        notice=_notice,
        numbers=_number,
        history=History(
            *("https://api.kraken.com", "/0/public/AssetPairs", 1.5), fetch=_trades, newest=_newest
        ),
        max_markets=500,
        message_seconds=0.5,
        max_connects=120,  # about 150 in ten minutes, then a ban of ten
        connects_seconds=600.0,
        silence_seconds=15.0,  # a heartbeat a second when nothing else comes
        acks_markets=True,
    ),
)
