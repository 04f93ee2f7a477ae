"""Looks after a local run until its time is up, and until its streams have taken what is left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live

from k2.bars.table import BARS
from k2.cli.render.streams import streams_table
from k2.engine.engine import Engine
from k2.exchanges import EXCHANGES
from k2.home.endpoints import Endpoints
from k2.local.feed_process import FeedProcess
from k2.local.service_process import ServiceProcess
from k2.local.stack import LocalStack
from k2.quality.backlog import backlog
from k2.settings import Settings

_TICK = 0.5
_FEED_START_SECONDS = 60.0  # by which a feed has its first record on a slow machine
_STUCK_SECONDS = 120.0  # without a record taken after the feed has ended


@dataclass
class RunWatch:
    """Looks after a local run's processes and streams; ``console`` shows them and what happens."""

    settings: Settings
    stack: LocalStack
    engine: Engine | None
    feed: FeedProcess | None
    endpoints: Endpoints
    console: Console
    service: ServiceProcess | None = None

    def until(self, seconds: float | None) -> None:
        """Look after everything for so long, or for as long as the feed; None is for ever."""
        patience = _FEED_START_SECONDS if self.feed is not None else 0.0
        end = None if seconds is None else time.monotonic() + seconds + patience
        with self._shown() as live:
            while end is None or (
                time.monotonic() < end and not (self.feed and self.feed.has_ended)
            ):
                self._tick(live)

    def until_drained(self) -> None:
        """Look after everything until Gold has all; give up when nothing has moved for long."""
        before: dict[str, int] = {}
        end = 0.0
        with self._shown() as live:
            while any((left := self._backlog()).values()):
                if left != before:
                    before, end = left, time.monotonic() + _STUCK_SECONDS
                if self.engine is not None and not any(
                    rows for step, rows in left.items() if step != BARS
                ):
                    self.engine.flush_buffers()
                if time.monotonic() > end:
                    say(self.console, "Not all caught up; the next run goes on from here.")
                    return
                self._tick(live)

    def _backlog(self) -> dict[str, int]:
        return backlog(self.settings, EXCHANGES, self.endpoints.kafka)

    @contextmanager
    def _shown(self) -> Iterator[Live | None]:
        if self.engine is None or not self.console.is_terminal:
            yield None
            return
        with Live(console=self.console, refresh_per_second=2, transient=True) as live:
            yield live

    def _tick(self, live: Live | None) -> None:
        self.stack.disk_space.look()
        self.stack.revive()
        if self.engine is not None:
            running = self.engine.watch()
            self.engine.publish()
            if live is not None:
                title = f"K2 in {self.settings.home} — Ctrl-C ends it"
                live.update(streams_table((s.public() for s in self.engine.statuses), title))
            if not running:
                raise self.engine.failures[0]
        if self.feed is not None:
            self.feed.look()
        if self.service is not None:
            self.service.look()
        time.sleep(_TICK)


def say(console: Console, text: str) -> None:
    """Print a line for people, as it is."""
    with suppress(OSError):  # a terminal that was closed hears nothing, and all else goes on
        console.print(text, highlight=False, markup=False, soft_wrap=True)
