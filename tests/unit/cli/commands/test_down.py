"""``k2 down`` says what it waits for."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k2.local.process import ProcessRecord
from k2.settings import Settings

pytestmark = pytest.mark.unit

# Ends what it started one after the other, as a run does.
RUN = """\
import signal, subprocess, sys, time
kafka = subprocess.Popen(["sleep", "1000"])
def stop(*_):
    time.sleep(0.5)
    kafka.terminate()
    kafka.wait()
    time.sleep(0.5)
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print(kafka.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def run(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in progress whose Kafka takes half a second to end, and so does the rest."""
    folder = Settings.load().run
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        kafka = int(owner.stdout.readline())
        ProcessRecord.of(owner.pid, "").save(folder / "owner.json")
        ProcessRecord.of(kafka, "sleep").save(folder / "kafka.json")
        yield owner
        owner.kill()


def test_it_says_what_has_not_ended_yet(k2, run):
    said = k2("down")

    lines = said.err.splitlines()
    assert said.code == 0
    assert lines[0] == f"Stopping (process {run.pid}, 0 s): Kafka …"
    assert lines[1].endswith("the run itself …")
    assert said.out.startswith("Stopped. Everything stays in")
