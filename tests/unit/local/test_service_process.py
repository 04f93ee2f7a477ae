"""The jobs' service of a run: begun to end while others still work, and looked after until then."""

import subprocess
from collections.abc import Iterator

import pytest

from k2.local import service_process
from k2.local.service_process import ServiceProcess
from k2.settings import Settings
from tests.support.started_programs import Started

pytestmark = pytest.mark.unit

# A second signal would end it with 9: what ends a service is in the middle of it then.
ENDS_IN_ORDER = """\
import signal, sys, time
def end(*_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    time.sleep(0.5)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def started(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    settings.logs.mkdir(parents=True, exist_ok=True)
    settings.run.mkdir(parents=True, exist_ok=True)
    found = Started(ENDS_IN_ORDER, ENDS_IN_ORDER, stdout=subprocess.PIPE)
    monkeypatch.setattr(service_process, "start_tied", found)
    monkeypatch.setattr(service_process, "_FIRST_PAUSE", 0.0)
    yield found
    for process in found.processes:
        process.kill()
        process.communicate()


@pytest.fixture
def service(settings: Settings, started: Started) -> ServiceProcess:
    service = ServiceProcess(settings, lambda _: None)
    service.start()
    stdout = started.processes[0].stdout
    assert stdout is not None
    assert stdout.readline() == b"up\n"
    return service


def test_a_service_that_was_asked_to_end_is_told_once_and_not_started_again(
    service: ServiceProcess, started: Started
) -> None:
    service.ask_to_end()
    service.ask_to_end()
    service.stop()
    service.look()

    assert [process.returncode for process in started.processes] == [0]


def test_while_it_ends_nobody_takes_it_for_dead(service: ServiceProcess, started: Started) -> None:
    service.ask_to_end()
    started.processes[0].wait(10)
    service.look()
    service.look()

    assert len(started.processes) == 1
    service.stop()
