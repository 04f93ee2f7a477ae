"""Sends a simulated stream on a schedule: what is due is sent, however long sending took."""

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from time import monotonic, time
from typing import Any

from k2.feeds.replay import Sink
from k2.feeds.simulator.feed_files import write_json
from k2.feeds.simulator.manifest import Manifest, Tally
from k2.feeds.simulator.record import SimulatedRecord
from k2.feeds.simulator.simulation import Progress, SimulatedFeed

_SHORTEST_WAIT = 0.02
_LONGEST_WAIT = 0.25
_STATUS_EVERY = 1.0
_STOP_SECONDS = 10.0  # who presses Ctrl-C does not wait a minute for a broker that is gone


@dataclass(frozen=True)
class Schedule:
    """When to send: ``rate`` records a second (None: as fast as possible), until a limit if any."""

    rate: float | None
    count: int | None = None
    seconds: float | None = None

    @property
    def total(self) -> int | None:
        """Records after which it is over, None for never."""
        limits = [] if self.count is None else [self.count]
        if self.rate and self.seconds is not None:
            limits.append(int(self.rate * self.seconds))
        return min(limits) if limits else None

    def due(self, elapsed: float) -> int | None:
        """Return how many records should be sent by then, None for no limit."""
        total = self.total
        if self.rate is None:
            return total
        by_now = int(self.rate * elapsed)
        return by_now if total is None else min(by_now, total)


@dataclass(frozen=True)
class FeedFiles:
    """Where a run leaves its traces; each may be None."""

    progress: Path | None = None
    status: Path | None = None
    manifest: Path | None = None


class Simulator:
    """One run of a simulated feed into ``sink``; ``tally`` counts what was sent."""

    def __init__(
        self,
        feed: SimulatedFeed,
        sink: Sink,
        schedule: Schedule,
        files: FeedFiles,
        *,
        stop: Event,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.tally = Tally()
        self._feed = feed
        self._sink = sink
        self._schedule = schedule
        self._files = files
        self._stop = stop
        self._clock = clock
        self._sent = 0
        self._status_at = clock()
        self._status_sent = 0

    def run(self) -> Tally:
        """Send until the schedule ends or ``stop`` is set; then flush and leave exact files.

        Raises:
            UnavailableError: Kafka did not take everything; the manifest has no summary then.
            OSError: the files cannot be written, or found no room for half a minute.
        """
        manifest = Manifest(self._files.manifest) if self._files.manifest else None
        with closing(manifest) if manifest else nullcontext():
            self._run(manifest)
        if manifest:
            manifest.complete(self.tally)
        return self.tally

    def _run(self, manifest: Manifest | None) -> None:
        unsent: list[SimulatedRecord] = []
        started = self._clock()
        try:
            for block in self._feed.blocks():
                # Before the records: a crash may leave a gap in the ids, never an id used twice.
                self._keep(self._feed.progress)
                unsent = self._send_block(block, started, manifest)
                if unsent or self._is_over():
                    break
            self._sink.flush(_STOP_SECONDS if self._stop.is_set() else None)
        finally:
            self._keep(_without(unsent, self._feed.progress))
            self._status_at, self._status_sent = started, 0  # the last status is of the whole run
            self._write_status("ended")

    def _send_block(
        self, block: list[SimulatedRecord], started: float, manifest: Manifest | None
    ) -> list[SimulatedRecord]:
        position = 0
        while position < len(block):
            if self._is_over():
                return block[position:]
            due = self._schedule.due(self._clock() - started)
            room = len(block) - position
            number = room if due is None else min(room, due - self._sent)
            if number > 0:
                self._send(block[position : position + number], manifest)
                position += number
            self._report()
            if number <= 0 or position < len(block):
                self._wait(started)
        return []

    def _send(self, records: list[SimulatedRecord], manifest: Manifest | None) -> None:
        if manifest:
            manifest.write(records)
        send = self._sink.send
        for topic, key, value, _, broker_time_ms in records:
            send(topic, key, value, broker_time_ms)
        self.tally.count(record.fact for record in records)
        self._sent += len(records)

    def _is_over(self) -> bool:
        total = self._schedule.total
        return self._stop.is_set() or (total is not None and self._sent >= total)

    def _wait(self, started: float) -> None:
        if self._schedule.rate is None or self._is_over():
            return
        ahead = (self._sent + 1) / self._schedule.rate - (self._clock() - started)
        self._stop.wait(min(max(ahead, _SHORTEST_WAIT), _LONGEST_WAIT))

    def _keep(self, progress: Progress) -> None:
        if self._files.progress:
            write_json(self._files.progress, asdict(progress), self._stop)

    def _report(self) -> None:
        if self._clock() - self._status_at >= _STATUS_EVERY:
            self._write_status("running")

    def _write_status(self, state: str) -> None:
        now = self._clock()
        since = now - self._status_at
        rate = (self._sent - self._status_sent) / since if since > 0 else 0.0
        self._status_at, self._status_sent = now, self._sent
        if self._files.status:
            status: dict[str, Any] = {
                "state": state,
                "sent": self._sent,
                "rate": round(rate, 1),
                "wanted_rate": self._schedule.rate,
                "by_kind": self.tally.by_kind(),
                "updated_at": time(),
            }
            write_json(self._files.status, status, self._stop)


def _without(unsent: list[SimulatedRecord], progress: Progress) -> Progress:
    """Give back the ids of trades that were made and not sent."""
    for record in reversed(unsent):
        fact = record.fact
        if fact.kind in ("trade", "late") and fact.trade_id is not None:
            progress.next_ids[f"{fact.exchange}:{fact.symbol}"] = fact.trade_id
    return progress
