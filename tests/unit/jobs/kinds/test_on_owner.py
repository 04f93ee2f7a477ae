"""Whoever owns a stream's tables does what is asked of them, and nobody else writes beside it."""

import threading
from typing import Any

import pytest

from k2.engine import table_owner
from k2.engine.stream import Stream, reserved
from k2.engine.table_requests import MAINTAIN, Request
from k2.errors import FailedError
from k2.exchanges.binance import BINANCE
from k2.home.locks import is_held
from k2.jobs.database import Database
from k2.jobs.job_run import JobRun, StandStill
from k2.jobs.kinds.on_owner import ask_owner
from k2.jobs.lifecycle import begin_run
from k2.jobs.model import Wish
from k2.jobs.registry import Registry
from k2.jobs.table_requests import TableRequests
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table
from k2.topology import all_streams, stream_named
from tests.support.home import wait_until
from tests.support.trades import append_silver, silver_row

NAME = "silver-binance"
OPTIONS: dict[str, Any] = {"readers": {}}
TABLES = {"silver_binance_trades", "dup_binance_trades", "dlq_binance_trades"}


@pytest.fixture
def stream(settings: Settings) -> Stream:
    for offset in range(2):
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, offset)])
    streams = all_streams(settings, "127.0.0.1:1", "http://127.0.0.1:1", "local[2]")
    return stream_named(streams, NAME)


@pytest.fixture
def run(registry: Registry, settings: Settings) -> JobRun:
    """A job that runs, as far as the registry knows."""
    job = registry.submit("count", {}).job
    _, attempt = begin_run(registry.database, job.id, "local")
    no_steps: Any = None
    return JobRun(
        job.id, "count", attempt, settings, registry.database, no_steps, threading.Event()
    )


@pytest.fixture
def requests(database: Database) -> TableRequests:
    return TableRequests(database)


def files(settings: Settings) -> list[str]:
    table = open_table(settings.lake, silver_trades(BINANCE))
    assert table is not None
    return table.file_uris()


def asking(run: JobRun, stream: Stream) -> tuple[threading.Thread, list[Any]]:
    """Ask in a thread; what came of it."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(ask_owner(run, MAINTAIN, stream, OPTIONS))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, found


def asked(requests: TableRequests) -> Request:
    (request,) = wait_until(lambda: requests.pending({NAME}), 30)
    return request  # type: ignore[no-any-return]


def paused_once_begun(
    run: JobRun, stream: Stream, registry: Registry, requests: TableRequests
) -> tuple[threading.Thread, list[Any], Request]:
    """Ask in a thread, and pause the job when the owner has begun with it."""
    thread, found = asking(run, stream)
    request = asked(requests)
    requests.begin(request)
    registry.pause(run.id)
    wait_until(lambda: not requests.is_wanted(request), 30)
    return thread, found, request


def test_without_an_owner_the_job_writes_and_holds_all_tables_meanwhile(
    run: JobRun, stream: Stream, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    maintain, locks = table_owner.maintain, settings.run / "locks"

    def watched(*arguments: Any, **options: Any) -> Any:
        held.append({path.stem for path in locks.glob("*.lock") if is_held(locks, path.stem)})
        return maintain(*arguments, **options)

    monkeypatch.setattr(table_owner, "maintain", watched)

    done = ask_owner(run, MAINTAIN, stream, OPTIONS)

    assert done["silver_binance_trades"]["partitions_compacted"] == 1
    assert len(files(settings)) == 1
    assert len(held) == 1
    assert held[0] >= TABLES | {"silver-binance-v1"}


def test_beside_an_owner_the_job_writes_nothing_and_waits_for_its_answer(
    run: JobRun, stream: Stream, settings: Settings, requests: TableRequests
) -> None:
    before = files(settings)

    with reserved(stream, settings):
        thread, found = asking(run, stream)
        requests.answer(asked(requests), {"done by": "the owner"})
        thread.join(30)

    assert found == [{"done by": "the owner"}]
    assert files(settings) == before
    assert requests.pending({NAME}) == []


def test_an_error_of_the_owner_is_the_jobs(
    run: JobRun, stream: Stream, settings: Settings, requests: TableRequests
) -> None:
    with reserved(stream, settings):
        thread, found = asking(run, stream)
        requests.answer(asked(requests), FailedError("the disk is full"))
        thread.join(30)

    assert str(found[0]) == "the disk is full"


def test_an_owner_that_ends_without_an_answer_leaves_the_work_to_the_job(
    run: JobRun, stream: Stream, settings: Settings, requests: TableRequests
) -> None:
    with reserved(stream, settings):
        thread, found = asking(run, stream)
        requests.begin(asked(requests))
    thread.join(30)

    assert found[0]["silver_binance_trades"]["partitions_compacted"] == 1


def test_a_job_that_is_paused_stands_still_once_the_owner_has_put_the_request_down(
    run: JobRun,
    stream: Stream,
    settings: Settings,
    registry: Registry,
    requests: TableRequests,
) -> None:
    with reserved(stream, settings):
        thread, found, request = paused_once_begun(run, stream, registry, requests)
        stood_still_too_early = bool(found)
        requests.put_back(request)
        thread.join(30)

    assert not stood_still_too_early
    assert isinstance(found[0], StandStill)
    assert requests.pending({NAME}) == []


def test_a_job_that_is_paused_while_it_is_the_owner_stops_between_two_parts(
    run: JobRun,
    stream: Stream,
    settings: Settings,
    registry: Registry,
    requests: TableRequests,
) -> None:
    before = files(settings)
    registry.pause(run.id)

    with pytest.raises(StandStill) as stood:
        ask_owner(run, MAINTAIN, stream, OPTIONS)

    assert stood.value.wish is Wish.PAUSE
    assert files(settings) == before
    assert requests.pending({NAME}) == []
    assert not is_held(settings.run / "locks", "silver-binance-v1")


def test_a_service_that_ends_does_not_wait_for_an_owner_that_keeps_a_withdrawn_request(
    run: JobRun,
    stream: Stream,
    settings: Settings,
    registry: Registry,
    requests: TableRequests,
) -> None:
    with reserved(stream, settings):
        thread, found, request = paused_once_begun(run, stream, registry, requests)
        run.stopping.set()
        thread.join(30)
        is_still_begun = requests.withdraw(request)

    assert isinstance(found[0], StandStill)
    assert is_still_begun


def test_a_service_that_ends_leaves_the_request_and_finds_its_answer_at_the_next_start(
    run: JobRun, stream: Stream, settings: Settings, requests: TableRequests
) -> None:
    with reserved(stream, settings):
        thread, _ = asking(run, stream)
        request = asked(requests)
        run.stopping.set()
        thread.join(30)
        requests.answer(request, {"done by": "the owner"})
        run.stopping.clear()

        found = ask_owner(run, MAINTAIN, stream, OPTIONS)

    assert found == {"done by": "the owner"}
