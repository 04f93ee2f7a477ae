"""The service's start: where it may listen, and what is taken."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

import httpx
import pytest

from k2.errors import ConfigError, InUseError
from k2.jobs.kinds import KINDS as ALL_KINDS
from k2.service.server import JobService
from k2.settings import Settings
from tests.support.jobs import KINDS, engine_of


def test_beyond_loopback_it_wants_a_token(settings: Settings) -> None:
    open_to_all = settings.model_copy(update={"api_host": "0.0.0.0"})  # noqa: S104

    with pytest.raises(ConfigError, match="set K2_API_TOKEN"):
        JobService(open_to_all, KINDS)


def test_a_token_that_is_too_short_is_refused() -> None:
    with pytest.raises(ConfigError, match="K2_API_TOKEN"):
        Settings.load(api_token="short")  # noqa: S106


def test_a_taken_port_is_said_before_anything_starts(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = JobService(settings.model_copy(update={"api_port": port}), KINDS)

        with pytest.raises(InUseError, match=f"Port {port} for the API is taken"):
            service.run()

    assert not (settings.home / "jobs.sqlite").exists()


def test_an_address_of_another_machine_is_said(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"api_host": "203.0.113.7"})
    with_token = elsewhere.model_copy(
        update={"api_token": Settings.load(api_token="x" * 16).api_token}
    )

    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.7"):
        JobService(with_token, KINDS).run()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The address of a service that runs until the block ends."""
    service, ready = JobService(settings, KINDS), Queue[str]()
    thread = threading.Thread(target=service.run, args=(ready.put,))
    thread.start()
    try:
        yield ready.get(timeout=60)
    finally:
        service.stop()
        thread.join()


def test_prometheus_finds_its_metrics_on_whatever_port_they_are(settings: Settings) -> None:
    file = settings.home / "prometheus" / "targets" / "jobs.json"

    with serving(settings.model_copy(update={"api_port": 0, "metrics_port": 0})):
        (entry,) = json.loads(file.read_text())
        served = httpx.get(f"http://{entry['targets'][0]}/metrics").text

    assert entry["labels"] == {"driver": "jobs"}
    assert "k2_jobs{" in served
    assert not file.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_nothing_of_it_is_left(
    settings: Settings, number: signal.Signals
) -> None:
    free = settings.model_copy(update={"api_port": 0, "metrics_port": 0})
    note, seen = settings.run / "api.json", list[dict[str, object]]()

    def ready(url: str) -> None:
        seen.append(json.loads(note.read_text()) | {"told": url})
        os.kill(os.getpid(), number)

    before = signal.signal(number, lambda *_: pytest.fail("it did not listen for the signal"))
    try:
        JobService(free, KINDS).run(ready)
    finally:
        signal.signal(number, before)

    ((said),) = seen
    assert said == {"url": said["told"], "pid": os.getpid(), "told": said["told"]}
    assert not note.exists()
    with engine_of(settings):  # its lock is free
        pass


@pytest.mark.parametrize(
    ("is_wanted", "kinds"),
    [(True, {"clean-registry", "quality-check"}), (False, {"clean-registry"})],
)
def test_checks_and_cleaning_are_asked_for_by_the_clock_unless_that_is_not_wanted(
    settings: Settings, is_wanted: bool, kinds: set[str]
) -> None:
    chosen = settings.model_copy(update={"quality_schedule": is_wanted})

    service = JobService(chosen, ALL_KINDS)

    assert {job.kind for job in service._scheduled} == kinds


def test_small_answers_do_not_wait_for_the_client_s_acknowledgement(settings: Settings) -> None:
    with (
        serving(settings.model_copy(update={"api_port": 0, "metrics_port": 0})) as url,
        httpx.Client(base_url=url) as client,
    ):
        taken = [client.get("/v1/jobs").elapsed.total_seconds() for _ in range(20)]

    # A system that delays acknowledgements does so for 40 ms.
    assert min(taken) < 0.03
