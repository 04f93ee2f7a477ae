"""The jobs' service of a run: begun to end while others still work, and looked after until then."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from k2.local import service_process
from k2.local.service_process import ServiceProcess
from k2.settings import Settings

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
def child(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ServiceProcess, list["subprocess.Popen[bytes]"]]]:
    settings.logs.mkdir(parents=True, exist_ok=True)
    settings.run.mkdir(parents=True, exist_ok=True)
    started: list[subprocess.Popen[bytes]] = []

    def start(*_: object) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", ENDS_IN_ORDER]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(service_process, "start_tied", start)
    monkeypatch.setattr(service_process, "_FIRST_PAUSE", 0.0)
    service = ServiceProcess(settings, lambda _: None)
    service.start()
    assert started[0].stdout is not None
    assert started[0].stdout.readline() == b"up\n"
    yield service, started
    for process in started:
        process.kill()
        process.communicate()


def test_a_service_that_was_asked_to_end_is_told_once_and_not_started_again(
    child: tuple[ServiceProcess, list["subprocess.Popen[bytes]"]],
) -> None:
    service, started = child

    service.ask_to_end()
    service.ask_to_end()
    service.stop()
    service.look()

    assert [process.returncode for process in started] == [0]


def test_while_it_ends_nobody_takes_it_for_dead(
    child: tuple[ServiceProcess, list["subprocess.Popen[bytes]"]],
) -> None:
    service, started = child

    service.ask_to_end()
    started[0].wait(10)
    service.look()
    service.look()

    assert len(started) == 1
    service.stop()
