"""CPU and memory of a run's processes, read from outside."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

_SAMPLE_SECONDS = 0.15
_MEMORY_EVERY = 6  # samples: reading a large process's pages takes its time


@dataclass
class Usage:
    """CPU seconds and peak memory (bytes, resident, shared pages counted once) of some processes."""

    streams_cpu: float = 0.0
    services_cpu: float = 0.0
    peak_memory: int = 0


class Sampler:
    """Watches the tree of a process from a thread until it is left."""

    def __init__(self, pid: int, from_its_start: bool = False) -> None:
        """Count from now on, or all that the process has used."""
        self._root = psutil.Process(pid)
        self._start = {} if from_its_start else _cpu_by_process(self._root)
        self._timeline: list[tuple[float, float]] = []
        self._ended: dict[int, tuple[float, bool]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._peak = 0

    def __enter__(self) -> "Sampler":
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._ending.set()
        self._thread.join()
        self._ended.update(_cpu_by_process(self._root))

    def usage(self) -> Usage:
        """Return what was used since the start; Kafka and the registry are counted apart."""
        usage = Usage(peak_memory=self._peak)
        for pid, (cpu, is_service) in list(self._ended.items()):
            spent = cpu - self._start.get(pid, (0.0, False))[0]
            if is_service:
                usage.services_cpu += spent
            else:
                usage.streams_cpu += spent
        return usage

    def cpu_at(self, moment: float) -> float:
        """Return the CPU seconds, without services, used by a time (epoch) within the watch."""
        earlier = [cpu for at, cpu in self._timeline if at <= moment]
        return earlier[-1] if earlier else 0.0

    def _watch(self) -> None:
        samples = 0
        while not self._ending.wait(_SAMPLE_SECONDS):
            self._ended.update(_cpu_by_process(self._root))
            self._timeline.append((time.time(), self.usage().streams_cpu))
            if samples % _MEMORY_EVERY == 0:
                self._peak = max(self._peak, _memory(self._root))
            samples += 1


def tree(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and all below it; nothing when it has ended."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_by_process(root: psutil.Process) -> dict[int, tuple[float, bool]]:
    found = {}
    for process in tree(root):
        try:
            times = process.cpu_times()
            found[process.pid] = (times.user + times.system, is_service(process))
        except psutil.Error:
            continue
    return found


def is_service(process: psutil.Process) -> bool:
    """Tell whether it is Kafka or the registry; raises ``psutil.Error`` when it has ended."""
    return any(a.startswith(("-Dk2.kafka", "-Dk2.registry")) for a in process.cmdline())


def _memory(root: psutil.Process) -> int:
    total = 0
    for process in tree(root):
        try:
            total += process.memory_full_info().pss
        except (psutil.Error, AttributeError):
            continue
    return total


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds; return the seconds it took.

    Raises:
        TimeoutError: it did not in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began
