"""The running service: idle, under a burst, and after it was killed. Each ends with the balance."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from benchmarks.burst import made_ahead, send
from benchmarks.freshness import waits
from benchmarks.home import Home, new_home
from benchmarks.processes import Sampler, is_service, tree, wait_for
from k2.bars.table import BARS
from k2.exchanges import EXCHANGES
from k2.quality.backlog import backlog
from k2.settings import Settings
from k2.storage.table import Layer

_TO_GOLD = (Layer.BRONZE, Layer.SILVER, Layer.GOLD)


def idle(seconds: int, **options: str) -> dict[str, Any]:
    """Everything up, after some trades, and no feed: CPU in percent of one core, and memory."""
    with new_home(**options) as home:
        _up(home)
        time.sleep(20)  # the compilers of the JVMs come to rest
        with Sampler(home.owner()) as sampler:
            time.sleep(seconds)
        usage = sampler.usage()
        return {
            "seconds": seconds,
            "streams_percent": round(usage.streams_cpu / seconds * 100, 1),
            "services_percent": round(usage.services_cpu / seconds * 100, 1),
            "peak_memory_mb": round(usage.peak_memory / 1e6),
        }


def burst(rate: int, seconds: int, before: int, **options: str) -> dict[str, Any]:
    """Many trades at once on a running service: seconds from their end until Gold has them all.

    ``before`` records pass first, so that the JVM has compiled what rows pass through.
    """
    with new_home(**options) as home:
        _up(home)
        _warm(home, before)
        records = made_ahead(home, rate * seconds, rate)
        begun = time.time()
        with Sampler(home.owner()) as sampler:
            # The sender is no part of the service, so it is not counted with it.
            sent_in = send(home, records, rate)
            caught_up = wait_for(lambda: _rested(home), 600, "Gold after the burst")
        usage = sampler.usage()
        found = {
            "rate": rate,
            "sent_in_seconds": round(sent_in, 1),
            "caught_up_seconds": round(caught_up, 1),
            "freshness": waits(home).between(begun),
            "streams_cpu_seconds": round(usage.streams_cpu, 1),
            "peak_memory_mb": round(usage.peak_memory / 1e6),
        }
        home.require_balance()
        return found


def catch_up_running(records: int, before: int, **options: str) -> dict[str, Any]:
    """A backlog that gathers while a running service is suspended: records a second, Kafka to Gold.

    ``before`` records pass first, so that the JVM has compiled what rows pass through.
    """
    with new_home(**options) as home:
        _up(home)
        _warm(home, before)
        with _suspended(home):
            home.k2("simulate", "--rate", "max", "--count", str(records), "--json")
            began = time.time()
        with Sampler(home.owner()) as sampler:
            wait_for(lambda: _rested(home), 900, "Gold after the backlog")
        usage = sampler.usage()
        seconds = home.gold_log()[-1].stat().st_mtime - began
        home.require_balance()
        return {
            "records": records,
            "seconds": round(seconds, 1),
            "records_per_second": round(records / seconds),
            "streams_cpu_seconds": round(usage.streams_cpu, 1),
            "services_cpu_seconds": round(usage.services_cpu, 1),
            "peak_memory_mb": round(usage.peak_memory / 1e6),
        }


def recovery(rate: int, **options: str) -> dict[str, Any]:
    """``kill -9`` of everything under a feed, then ``k2 up``: seconds until Gold moves again."""
    with new_home(**options) as home:
        home.k2("up", "--feed", "simulate", "--rate", f"{rate}/s", "--detach")
        wait_for(lambda: len(home.gold_log()) > 10, 300, "Gold")
        _kill_all(home)
        before = len(home.gold_log())
        began = time.monotonic()
        up = home.spawn("up", "--feed", "simulate", "--rate", f"{rate}/s", "--detach")
        moved = wait_for(lambda: len(home.gold_log()) > before, 300, "Gold after the kill")
        up.wait()
        up_again = time.monotonic() - began
        home.k2("down")
        home.k2("up", "--feed", "none", "--no-streams", "--detach")
        home.k2("drain")
        home.require_balance()
        return {
            "rate": rate,
            "gold_moves_seconds": round(moved, 1),
            "up_seconds": round(up_again, 1),
        }


def _up(home: Home) -> None:
    """Start everything and let some trades through, so that all streams run."""
    home.k2("up", "--feed", "none", "--detach")
    home.k2("simulate", "--rate", "500/s", "--for", "10s", "--json")
    wait_for(lambda: len(home.gold_log()) > 1 and not _waiting(home), 300, "the first trades")


def _warm(home: Home, records: int) -> None:
    for count in (records // 2, records - records // 2):
        home.k2("simulate", "--rate", "max", "--count", str(count), "--json")
        wait_for(lambda: _rested(home, (*_TO_GOLD, BARS)), 900, "the records before")


def _waiting(home: Home, steps: Sequence[str] = _TO_GOLD) -> int:
    left = backlog(Settings(home=home.folder), EXCHANGES, home.kafka())
    return sum(left[step] for step in steps)


def _rested(home: Home, steps: Sequence[str] = _TO_GOLD) -> bool:
    """Whether nothing waits; looked at seldom, because a look costs CPU too."""
    time.sleep(1)
    return not _waiting(home, steps)


@contextmanager
def _suspended(home: Home) -> Iterator[None]:
    """Stop the driver, its JVM and nothing else; the services go on."""
    driver = []
    for process in tree(psutil.Process(home.owner())):
        with suppress(psutil.Error):  # it has ended meanwhile
            if not is_service(process):
                driver.append(process)
    for process in driver:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(driver):
            process.resume()


def _kill_all(home: Home) -> None:
    owner = psutil.Process(home.owner())
    for process in [owner, *owner.children(recursive=True)]:
        with suppress(psutil.Error):
            os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([owner], timeout=10)
