"""How long a newcomer waits: `make demo` with packages in the cache, watched on its terminal."""

import os
import pty
import re
import select
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.support.documents import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.performance,
    pytest.mark.timeout(600),
]

MAX_FIRST_ROW_SECONDS = 20.0
MAX_DEMO_SECONDS = 80.0
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
GOLD = re.compile(rb"(?m)^\s*gold\s+running\s+([1-9][\d,]*)")
# What a person sees, in order; the times say where a slow start has been.
SEEN = {
    "Kafka starts": re.compile(rb"Starting Kafka"),
    "Kafka answers": re.compile(rb"Kafka answers"),
    "the registry answers": re.compile(rb"registry answers"),
    "the streams start": re.compile(rb"Starting the streams"),
    "a first row of Gold": GOLD,
    "time is up": re.compile(rb"Time is up"),
    "the summary": re.compile(rb"Newest Gold trades"),
    "stopped": re.compile(rb"Stopped\."),
}


class Seen(NamedTuple):
    """When something was seen, in seconds since the start, and the CPU time used until then."""

    seconds: float
    cpu_seconds: float


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and all below it, ended ones too where somebody waited for them."""
    used = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            used += sum(each.cpu_times()[:4])
    return used


def watch_demo(home: Path) -> tuple[dict[str, Seen], float, int, str]:
    """Run it; return when each thing was seen, and the end; exit code and text."""
    terminal, screen = pty.openpty()
    environment = {**os.environ, "K2_HOME": str(home), "COLUMNS": "120", "LINES": "40"}
    began = time.monotonic()
    with subprocess.Popen(
        ["make", "demo"],
        cwd=ROOT,
        env={**environment, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=screen,
        stderr=screen,
    ) as demo:
        os.close(screen)
        shown, seen = b"", dict[str, Seen]()
        while True:
            ready, _, _ = select.select([terminal], [], [], 300)
            try:
                part = os.read(terminal, 65_536) if ready else b""
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
            recent = ESCAPES.sub(b"", shown[-65_536:])
            for name, text in SEEN.items():
                if name not in seen and text.search(recent):
                    seconds = time.monotonic() - began
                    seen[name] = Seen(seconds, cpu_seconds(psutil.Process(demo.pid)))
        os.close(terminal)
        code = demo.wait(60)
    return seen, time.monotonic() - began, code, ESCAPES.sub(b"", shown).decode(errors="replace")


def test_the_first_trade_in_gold_is_soon_on_screen_and_the_demo_soon_over(tmp_path: Path) -> None:
    seen, whole, code, shown = watch_demo(tmp_path / "home")

    for name, when in seen.items():
        print(f"{when.seconds:6.1f} s  {when.cpu_seconds:6.1f} s of CPU  {name}")
    print(f"{whole:6.1f} s  ended; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    assert code == 0, shown[-3000:]
    assert seen.keys() == SEEN.keys(), shown[-3000:]
    assert seen["a first row of Gold"].seconds <= MAX_FIRST_ROW_SECONDS
    assert whole <= MAX_DEMO_SECONDS
