"""One message validated over HTTP as Silver would validate it."""

import asyncio
import json
import threading
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from k2.exchanges.binance import BINANCE
from k2.home.instrument_lists import InstrumentLists
from k2.jobs.engine import JobEngine
from k2.service.validation import MessageValidator, validate_each
from k2.settings import Settings

TRADE = {
    **{"e": "trade", "E": 1735689600123, "s": "BTCUSDT", "t": 1001, "p": "93500.10"},
    **{"q": "0.00120", "T": 1735689600120, "m": False, "M": True},
}


def message(**changes: object) -> bytes:
    return json.dumps(TRADE | changes).encode()


def test_a_trade_comes_back_as_silver_would_store_it(client: TestClient) -> None:
    answer = client.post("/v1/records/binance", content=message())

    assert answer.status_code == 200
    assert answer.json()["verdict"] == "trade"
    (trade,) = answer.json()["trades"]
    assert (trade["symbol"], Decimal(trade["price"]), trade["side"]) == (
        *("BTC-USDT", Decimal("93500.10"), "BUY"),
    )


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (message(p="-1"), "dead_letter"),
        (b'{"result":null,"id":1}', "other"),
        (b"not json", "rejected"),
        (message(p=None), "rejected"),
        (b"\xff\xfe", "rejected"),
        (b"[" * 5_000, "rejected"),
    ],
)
def test_what_is_no_trade_is_said(client: TestClient, body: bytes, verdict: str) -> None:
    answer = client.post("/v1/records/binance", content=body)

    assert answer.status_code == 200
    assert answer.json()["verdict"] == verdict
    assert answer.json()["trades"] == []


def test_the_reasons_of_a_dead_letter_are_named(client: TestClient) -> None:
    answer = client.post("/v1/records/binance", content=message(p="-1", q="0")).json()

    reasons = answer["dead_letters"][0]["error_reasons"]
    assert reasons == ["price_not_positive", "quantity_not_positive"]


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("binnance", message(), "binnance"),
        ("binance", b"  \n", "The body is empty"),
        ("binance/batch", b"\n\n", "The body is empty"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    client: TestClient, path: str, body: bytes, sentence: str
) -> None:
    answer = client.post(f"/v1/records/{path}", content=body)

    assert answer.status_code == 422
    assert sentence in answer.json()["error"]


def test_messages_judged_together_are_judged_each_by_itself() -> None:
    bodies = [message(), message(p="-1"), b'{"result":null,"id":1}', message(t=1002), b"?"]

    together = [verdict.verdict for verdict in validate_each(BINANCE, bodies)]
    alone = [validate_each(BINANCE, [body])[0].verdict for body in bodies]

    assert together == alone == ["trade", "dead_letter", "other", "trade", "rejected"]


def test_messages_that_come_while_others_are_judged_wait_for_one_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def counted(_exchange: object, messages: list[bytes], _instruments: object) -> object:
        sizes.append(len(messages))
        return validate_each(BINANCE, messages)

    monkeypatch.setattr("k2.service.validation.validate_each", counted)

    async def ask_all() -> list[str]:
        validator = MessageValidator(BINANCE, InstrumentLists(Settings()))
        found = await asyncio.gather(*(validator.validate(message(t=n)) for n in range(40)))
        return [verdict.trades[0]["trade_id"] for verdict in found]

    trades = asyncio.run(ask_all())

    assert trades == [str(number) for number in range(40)]
    assert len(sizes) <= 2


def test_a_verdict_that_breaks_is_told_to_each_who_waits_and_the_next_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("broken")

    async def ask() -> str:
        validator = MessageValidator(BINANCE, InstrumentLists(Settings()))
        with monkeypatch.context() as patch:
            patch.setattr("k2.service.validation.validate_each", broken)
            with pytest.raises(RuntimeError):
                await validator.validate(message())
        return (await validator.validate(message())).verdict

    assert asyncio.run(ask()) == "trade"


@pytest.mark.parametrize("is_broken", [False, True])
def test_who_gives_up_waiting_for_a_verdict_takes_it_from_nobody(
    monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    asked, goes_on = threading.Event(), threading.Event()

    def slow(_exchange: object, messages: list[bytes], instruments: object) -> object:
        asked.set()
        goes_on.wait(30)
        if is_broken:
            raise RuntimeError("broken")
        return validate_each(BINANCE, messages)

    monkeypatch.setattr("k2.service.validation.validate_each", slow)

    async def ask() -> list[object]:
        validator = MessageValidator(BINANCE, InstrumentLists(Settings()))
        impatient, patient = (
            asyncio.create_task(validator.validate(message(t=number))) for number in range(2)
        )
        await asyncio.to_thread(asked.wait, 30)
        impatient.cancel()
        await asyncio.sleep(0)
        goes_on.set()
        return await asyncio.gather(impatient, patient, return_exceptions=True)

    gave_up, waited = asyncio.run(ask())

    assert isinstance(gave_up, asyncio.CancelledError)
    if is_broken:
        assert isinstance(waited, RuntimeError)
    else:
        assert waited.trades[0]["trade_id"] == "1"  # type: ignore[attr-defined]


def test_a_batch_needs_the_kind_that_replays_it(client: TestClient, engine: JobEngine) -> None:
    answer = client.post("/v1/records/binance/batch", content=message() + b"\n")

    assert answer.status_code == 422
    assert "no kind of job 'replay'" in answer.json()["error"]
