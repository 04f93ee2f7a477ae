"""What an exchange's history answers: read, asked again, or waited for as long as it says."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from k2.errors import FailedError, UnavailableError
from k2.exchanges.live import LiveService, Missing
from k2.exchanges.live_services import LIVE_SERVICES
from k2.exchanges.parsers import parser_of
from k2.exchanges.rest import LimitedError
from k2.feeds.live import refill
from k2.feeds.live.refill import Refill
from k2.retry import RetryPolicy

pytestmark = pytest.mark.unit

MISSING = Missing("BTCUSDT", 10, 12, 0)
ROW = {"id": 10, "price": "1", "qty": "2", "time": 3, "isBuyerMaker": True, "isBestMatch": True}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refill, "REQUESTS", RetryPolicy(3, 0.01, 1.0))


def fetched(answer: Callable[[int], httpx.Response]) -> tuple[list[bytes], int]:
    """Fetch from a history that answers the nth request so."""
    history = LIVE_SERVICES["binance-spot"].history
    assert history is not None
    messages: list[bytes] = []
    requests = 0

    def respond(_request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        return answer(requests)

    async def fetch() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
            asking = Refill(
                history, "http://exchange", lambda message, _us: messages.append(message), client
            )
            asking.history = replace(history, seconds=0.0)
            await asking.fetch(MISSING)

    try:
        asyncio.run(fetch())
    finally:
        fetched.requests = requests  # type: ignore[attr-defined]
    return messages, requests


def test_rows_are_messages_of_the_websocket() -> None:
    rows = [ROW | {"id": number} for number in (10, 11, 12)]

    messages, requests = fetched(lambda _n: httpx.Response(200, json=rows))

    assert (len(messages), requests) == (3, 1)


@pytest.mark.parametrize(
    "text", ["", "<html>", "[1]", '[{"id":"x"}]', '[{"id":10}]', "[[]]", '{"code":0}', "[null]"]
)
def test_an_answer_that_cannot_be_read_may_be_asked_for_again(text: str) -> None:
    with pytest.raises(UnavailableError, match="cannot be read") as caught:
        fetched(lambda _n: httpx.Response(200, text=text))

    assert caught.value.retryable


@pytest.mark.parametrize("status", [429, 418, 500, 502, 503])
def test_an_exchange_that_is_busy_is_asked_again(status: int) -> None:
    def answer(number: int) -> httpx.Response:
        return httpx.Response(status) if number < 3 else httpx.Response(200, json=[])

    assert fetched(answer) == ([], 3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 451])
def test_an_exchange_that_says_no_is_asked_once(status: int) -> None:
    body: dict[str, Any] = {"code": -4166, "msg": "Search window is restricted"}

    with pytest.raises(FailedError, match="Search window"):
        fetched(lambda _n: httpx.Response(status, json=body))

    assert fetched.requests == 1  # type: ignore[attr-defined]


def test_a_long_ban_is_told_at_once_and_nothing_more_is_asked() -> None:
    began = time.monotonic()

    with pytest.raises(LimitedError) as caught:
        fetched(lambda _n: httpx.Response(418, headers={"Retry-After": "7200"}))

    assert caught.value.retry_after_seconds == 7200
    assert fetched.requests == 1  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5


SPOT = ROW | {"id": 77, "quoteQty": "2"}
FUTURES = {"a": 77, "p": "1", "q": "2", "nq": "2", "f": 90, "l": 92, "T": 3, "m": True}
KRAKEN = ["1.0", "2.0", 1688669597.8277369, "b", "m", "", 77]
COINBASE = {"trade_id": 77, "side": "buy", "size": "1", "price": "2"} | {
    "time": "2026-11-07T22:19:28.578544Z"
}
NEWEST = {
    **{"binance-spot": [SPOT], "binance-spot-aggregates": [SPOT], "binance-usdm": [FUTURES]},
    "kraken": {"error": [], "result": {"XXBTZUSD": [[*KRAKEN[:6], 76], KRAKEN], "last": "1"}},
    **{"coinbase-exchange": [COINBASE], "coinbase-advanced": [COINBASE]},
}


def asked(service: LiveService, content: Any) -> Refill:
    assert service.history is not None
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=content))
    client = httpx.AsyncClient(transport=transport)
    return Refill(service.history, "http://exchange", lambda _m, _t: None, client)


@pytest.mark.parametrize("name", LIVE_SERVICES)
def test_the_newest_trade_of_every_history_has_a_number_of_its_service(name: str) -> None:
    service = LIVE_SERVICES[name]

    message = asyncio.run(asked(service, NEWEST[name]).newest("M"))

    assert message is not None
    (record,) = parser_of(service.exchange)(message, 5).trades
    assert record["symbol"] == "M"
    assert service.numbers(record) == (77, 77)


@pytest.mark.parametrize("name", LIVE_SERVICES)
def test_a_market_without_trades_has_no_newest(name: str) -> None:
    nothing = {"error": [], "result": {"M": [], "last": "0"}} if name == "kraken" else []

    assert asyncio.run(asked(LIVE_SERVICES[name], nothing).newest("M")) is None
