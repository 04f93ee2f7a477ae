"""A gap fetched by a job: what the exchange has is sent, and what it has not is told."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from k2.cli.refill_jobs import RefillGapJobs
from k2.errors import ConfigError, FailedError, K2Error
from k2.exchanges.live import Missing
from k2.feeds.live.gap_filler import JobOutcome
from k2.feeds.live.journal import EVENTS_TOPIC
from k2.feeds.live.refill import TakeMessage
from k2.jobs.engine import EngineOptions, JobEngine
from k2.jobs.job_run import JobRun
from k2.jobs.kinds import KINDS
from k2.jobs.kinds import refill_gap as kind
from k2.jobs.lifecycle import begin_run
from k2.jobs.model import Job, JobState
from k2.jobs.registry import Registry
from k2.settings import Settings
from tests.support.exchange_server import ExchangeServer
from tests.support.jobs import QUICK, wait_for

pytestmark = pytest.mark.unit

MARKETS = {"binance-spot": "BTCUSDT", "kraken": "BTC/USD", "coinbase-exchange": "BTC-USD"}


class Broker:
    """Takes records."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes]] = []

    def send(self, topic: str, _key: object, value: bytes, _time_ms: object = None) -> None:
        self.records.append((topic, value))

    def flush(self, _seconds: object = None) -> None:
        return

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_error: object) -> None:
        return

    @property
    def numbers(self) -> list[int]:
        return sorted(int(value) for topic, value in self.records if topic.endswith(".raw"))

    @property
    def events(self) -> list[tuple[str, int, int]]:
        said = [json.loads(value) for topic, value in self.records if topic == EVENTS_TOPIC]
        return [(event["event"], event["first"], event["last"]) for event in said]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr(
        kind, "prepare_encoder", lambda _run, _exchange: lambda trade: b"%d" % trade["trade_id"]
    )
    monkeypatch.setattr(kind, "POLICY", QUICK)
    monkeypatch.setattr(kind, "_PART", 30)
    monkeypatch.setattr("k2.feeds.producer.FeedProducer", lambda _kafka: found)
    return found


@pytest.fixture
def serve() -> Iterator[Any]:
    """Starts a server with a hundred trades of a service, numbered from 1000."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[ExchangeServer] = []

    def start(service: str) -> ExchangeServer:
        server = ExchangeServer(service, (MARKETS[service],))
        for _ in range(100):
            server.make(MARKETS[service])
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        servers.append(server)
        return server

    yield start
    for server in servers:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def run(registry: Registry, settings: Settings) -> JobRun:
    """A job that runs in this thread, as far as the registry knows."""
    local = settings.model_copy(update={"kafka": "127.0.0.1:9", "registry": "http://127.0.0.1:9"})
    job = registry.submit("count", {}).job
    _, attempt = begin_run(registry.database, job.id, "local")
    return JobRun(
        *(job.id, "refill-gap", attempt, local, registry.database),
        *(lambda _name, work: work(), threading.Event()),
        policy=QUICK,
    )


def filled(run: JobRun, server: ExchangeServer) -> dict[str, Any]:
    """Fill the gap in this thread."""
    asked = {
        **{"service": server.service, "market": server.markets[0]},
        **{"first": 1_010, "last": 1_089, "history_url": server.history_url},
    }
    return kind.run_refill_gap(run, kind.RefillGapParams.model_validate(asked))


def fetched(settings: Settings, server: ExchangeServer, **params: Any) -> Job:
    """Run a job to its end."""
    local = settings.model_copy(update={"kafka": "127.0.0.1:9", "registry": "http://127.0.0.1:9"})
    market = server.markets[0]
    asked = {
        **{"service": server.service, "market": market, "first": 1_010, "last": 1_089},
        **{"after_us": server.history[market][9].time_us, "history_url": server.history_url},
        **params,
    }
    with JobEngine(local, KINDS, EngineOptions(poll_seconds=0.05, policy=QUICK)) as engine:
        job = engine.registry.submit("refill-gap", asked).job
        return wait_for(engine.registry, job.id, lambda found: found.state.is_ended)


@pytest.mark.parametrize("service", sorted(MARKETS))
def test_a_gap_is_fetched_whole_part_by_part(
    service: str, settings: Settings, broker: Broker, serve: Any
) -> None:
    job = fetched(settings, serve(service))

    assert job.result == {
        **{"service": service, "market": MARKETS[service], "filled": 80},
        **{"missing": [], "reason": ""},
    }
    assert broker.numbers == list(range(1_010, 1_090))
    assert (job.steps_done, broker.events) == (4, [("gap_closed", 1_010, 1_089)])


def test_what_the_exchange_no_longer_has_is_told_and_is_no_failure(
    settings: Settings, broker: Broker, serve: Any
) -> None:
    server = serve("binance-spot")
    server.forgotten = {"BTCUSDT": 1_049}

    job = fetched(settings, server)

    assert job.result is not None
    assert (job.result["missing"], job.result["filled"]) == ([[1_010, 1_049]], 40)
    assert broker.events == [
        ("gap_final", 1_010, 1_049),
        ("gap_closed", 1_050, 1_089),
    ]


def test_a_gap_of_which_nothing_comes_fails_unless_that_may_be(
    settings: Settings, broker: Broker, serve: Any
) -> None:
    server = serve("coinbase-exchange")
    server.rest_is_empty = True

    assert fetched(settings, server).state is JobState.FAILED
    assert fetched(settings, server, fail_on_nothing=False).state is JobState.COMPLETED


class History:
    """What an exchange tells, without a connection; it has more at each look, and may refuse at one."""

    def __init__(self, *looks: range, refuses_at: int = 0) -> None:
        self.looks, self.refuses_at, self.asked = list(looks), refuses_at, 0

    def opened(self, _history: object, _url: str, take: TakeMessage, _client: object) -> "History":
        self.take = take
        return self

    async def fetch(self, missing: Missing) -> None:
        self.asked += 1
        if self.asked == self.refuses_at:
            raise FailedError("the exchange has them no more")
        for number in self.looks[min(self.asked, len(self.looks)) - 1]:
            if missing.first <= number <= missing.last:
                self.take(raw_trade(number), 1_780_000_000_000_000 + number)


def raw_trade(number: int) -> bytes:
    return json.dumps(
        {
            **{"e": "trade", "E": 1735689600123, "s": "BTCUSDT", "t": number, "p": "9.5"},
            **{"q": "1", "T": 1735689600120, "m": False, "M": True},
        }
    ).encode()


def told_by(history: History, run: JobRun, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fill numbers 10 to 39, a step, by what a history tells."""
    monkeypatch.setattr("k2.feeds.live.refill.Refill", history.opened)
    asked = {"service": "binance-spot", "market": "BTCUSDT", "first": 10, "last": 39}
    return kind.run_refill_gap(run, kind.RefillGapParams.model_validate(asked))


def test_a_history_that_lags_behind_is_looked_at_again(
    run: JobRun, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(range(10, 25), range(10, 40))

    found = told_by(history, run, monkeypatch)

    assert (found["filled"], found["missing"], history.asked) == (30, [], 2)
    assert broker.numbers == list(range(10, 40))


def test_a_history_that_still_lags_at_the_third_look_is_believed(
    run: JobRun, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(range(10, 25), range(10, 30), range(10, 32), range(10, 40))

    found = told_by(history, run, monkeypatch)

    assert (found["filled"], found["missing"], history.asked) == (22, [[32, 39]], 3)
    assert broker.events == [("gap_final", 32, 39), ("gap_closed", 10, 31)]


def test_a_history_that_refuses_the_rest_is_asked_no_more_and_quoted(
    run: JobRun, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(range(10, 25), refuses_at=2)

    found = told_by(history, run, monkeypatch)

    assert (found["missing"], history.asked) == ([[25, 39]], 2)
    assert found["reason"] == "the exchange has them no more"


def test_numbers_that_the_exchange_never_gave_are_told_range_by_range(
    run: JobRun, broker: Broker, serve: Any
) -> None:
    server = serve("binance-spot")
    # The first of them lie on both sides of where one step ends and the next begins.
    gone = {*range(1_035, 1_045), *range(1_080, 1_083)}
    server.history["BTCUSDT"] = [t for t in server.history["BTCUSDT"] if t.number not in gone]

    found = filled(run, server)

    assert (found["filled"], found["missing"]) == (67, [[1_035, 1_044], [1_080, 1_082]])
    assert found["reason"] == "the exchange's history does not have it"
    assert [event for event in broker.events if event[0] == "gap_final"] == [
        ("gap_final", 1_035, 1_044),
        ("gap_final", 1_080, 1_082),
    ]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"rest_status": 404}, "404"),
        (
            {
                "rest_text": '[{"id":1010,"price":null,"qty":"1","time":1,"isBuyerMaker":true,'
                '"isBestMatch":true}]'
            },
            "the history gave no trade: ",
        ),
    ],
)
def test_a_history_that_refuses_or_gives_what_is_no_trade_is_quoted(
    trouble: dict[str, Any], said: str, run: JobRun, broker: Broker, serve: Any
) -> None:
    server = serve("binance-spot")
    for name, value in trouble.items():
        setattr(server, name, value)

    found = filled(run, server)

    assert (found["filled"], found["missing"]) == (0, [[1_010, 1_089]])
    assert said in found["reason"]
    assert broker.events == [("gap_final", 1_010, 1_089)]


@pytest.mark.parametrize("trouble", [{"rest_status": 503}, {"rest_is_wrong": True}])
def test_an_exchange_that_does_not_answer_fails_the_job_which_may_be_tried_again(
    trouble: dict[str, Any], settings: Settings, broker: Broker, serve: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("k2.feeds.live.refill.REQUESTS", QUICK)
    server = serve("binance-spot")
    for name, value in trouble.items():
        setattr(server, name, value)

    job = fetched(settings, server)

    assert job.error is not None
    assert (job.error["class"], job.error["retryable"]) == ("UnavailableError", True)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"service": "nowhere"}, "known services with a history"),
        ({"first": 5, "last": 4}, "last is before first"),
        ({"first": -1}, "greater than or equal to 0"),
        ({"last": 2**63}, "less than"),
        ({"market": ""}, "at least 1 character"),
    ],
)
def test_a_wrong_parameter_is_refused(params: dict[str, Any], said: str) -> None:
    good = {"service": "kraken", "market": "BTC/USD", "first": 1, "last": 2}

    with pytest.raises(ConfigError, match=said):
        KINDS.named("refill-gap").validated(good | params)


def test_a_feed_asks_for_a_job_and_hears_what_came_of_it(
    settings: Settings, broker: Broker, serve: Any
) -> None:
    server = serve("binance-spot")
    server.forgotten = {"BTCUSDT": 1_019}
    local = settings.model_copy(update={"kafka": "127.0.0.1:9", "registry": "http://127.0.0.1:9"})
    jobs, missing = RefillGapJobs(local), Missing("BTCUSDT", 1_010, 1_089, 0)

    async def asked() -> JobOutcome:
        job = await jobs.submit("binance-spot", missing, server.history_url)
        assert job is not None
        assert await jobs.submit("binance-spot", missing, server.history_url) == job
        while (outcome := await jobs.outcome(job)) is None:
            await asyncio.sleep(0.2)
        return outcome

    with JobEngine(local, KINDS, EngineOptions(poll_seconds=0.05, policy=QUICK)):
        outcome = asyncio.run(asyncio.wait_for(asked(), 120))

    assert outcome == JobOutcome([(1_010, 1_019)], "the exchange's history does not have it")
    assert broker.numbers == list(range(1_020, 1_090))


def test_without_anybody_who_runs_jobs_none_is_asked_for(settings: Settings) -> None:
    jobs = RefillGapJobs(settings)

    assert asyncio.run(jobs.submit("kraken", Missing("BTC/USD", 1, 2, 0), "http://x")) is None


def test_a_job_that_is_not_known_is_a_failure_and_no_end(settings: Settings) -> None:
    with pytest.raises(K2Error):
        asyncio.run(RefillGapJobs(settings).outcome("refill-gap-1"))
