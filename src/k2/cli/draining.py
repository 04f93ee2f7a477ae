"""``k2 drain`` at work: runs and waits for streams until Gold and its bars have all that was in Kafka."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console

from k2.bars.table import BARS
from k2.cli.step_lines import StepLines
from k2.engine.engine import Engine
from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.engine.stream import Stream
from k2.errors import FailedError, UnavailableError
from k2.exchanges import EXCHANGES
from k2.feeds.sessions.recorder import SessionRecorder
from k2.home.endpoints import Endpoints
from k2.home.locks import is_held
from k2.jobs.kinds.drain import DRAINED
from k2.jobs.stream_control import StreamControl
from k2.jvm.driver import local_session
from k2.jvm.session_lifetime import stop_session
from k2.observability.status import StreamStatus, read_status
from k2.quality.backlog import backlog
from k2.quality.step_goal import KafkaEnds, StepGoal, kafka_ends, step_goal
from k2.settings import Settings
from k2.storage.table import Table
from k2.topology import all_streams, all_tables, consumers_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOK_SECONDS = 2.0


def drain_here(settings: Settings, endpoints: Endpoints, seconds: float) -> dict[str, Any]:
    """Run the streams that run nowhere else, wait for the others, and return what is left.

    Beside a feed that goes on it ends with what Kafka has now.

    Raises:
        UnavailableError: the time is up; what has been done until then stays.
        FailedError: a stream is down.
    """
    began = time.monotonic()
    ends = kafka_ends(endpoints.kafka, EXCHANGES)
    console = Console(stderr=True)
    with console.status("Draining …") as spinner:
        _drain(
            settings, endpoints, ends, began + seconds, StepLines(spinner, for_job=True), console
        )
        SessionRecorder(settings, endpoints.kafka).try_record()
    left = backlog(settings, EXCHANGES, endpoints.kafka)
    return {"drained": True, "seconds": round(time.monotonic() - began, 1), "backlog": left}


def _drain(
    settings: Settings,
    endpoints: Endpoints,
    ends: KafkaEnds,
    limit: float,
    progress: StepLines,
    console: Console,
) -> None:
    addresses = (endpoints.kafka, endpoints.registry, settings.spark_master)
    together = not any(_is_held(table, settings) for table in all_tables())
    streams = all_streams(settings, *addresses, together=together)
    schedule = MaintenanceSchedule(settings, consumers_of(streams, settings))
    # Of streams that do not, each would end before the one ahead of it has written.
    are_chained = any(stream.chained is not None for stream in streams)
    groups = [DRAINED] if are_chained else [(step,) for step in DRAINED]
    session: list[SparkSession] = []

    def spark() -> "SparkSession":
        if not session:
            session.append(local_session(settings, "k2-drain", console))
        return session[0]

    try:
        for steps in groups:
            free = [
                stream
                for stream in streams
                if _step_of(stream.name, stream.layer) in steps
                # Those that hand on to each other run here all, or are refused together.
                and (len(steps) > 1 or not _runs_elsewhere(stream, settings))
            ]
            followed = _Followed(list(steps), settings, streams, ends, progress)
            left = followed.rows_left()
            progress.update(f"Draining {steps[-1]}: {left:,} rows to go")
            if free and left:
                _run(free, spark(), settings, limit, schedule, followed)
            followed.wait(limit)
    finally:
        for started in session:
            stop_session(started)


def _run(
    streams: list[Stream],
    spark: "SparkSession",
    settings: Settings,
    limit: float,
    schedule: MaintenanceSchedule,
    followed: "_Followed",
) -> None:
    def check_time() -> None:
        followed.look(engine.statuses)
        if time.monotonic() > limit:
            waiting = [f"{state.name}: {state.error}" for state in engine.statuses if state.error]
            raise _late("; ".join(waiting) or "a batch is still running")

    control = StreamControl(settings)
    with Engine(
        spark, settings, streams, available_now=True, schedule=schedule, control=control
    ) as engine:
        engine.run_to_end(check_time)
        followed.note(engine.statuses)


@dataclass
class _Followed:
    """Tells of each step, in order, when it has all that it must have."""

    steps: list[str]  # that are left
    settings: Settings
    streams: Sequence[Stream]
    ends: KafkaEnds
    progress: StepLines
    # By step: taken here, or to be taken elsewhere.
    _rows: Counter[str] = field(default_factory=Counter)
    _looked: float = 0.0

    def rows_left(self) -> int:
        """Return how many rows the step has to take that has the most."""
        self._rows = Counter({step: self._goal(step).rows_left() for step in self.steps})
        return max(self._rows.values())

    def note(self, statuses: Iterable[StreamStatus]) -> None:
        """Note what streams took that run here."""
        taken: Counter[str] = Counter()
        for status in statuses:
            taken[_step_of(status.name, status.layer)] += status.rows
        self._rows |= taken

    def look(self, statuses: Iterable[StreamStatus]) -> None:
        """Look now and then, while streams run here."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self.note(statuses)
        while self.steps and not self._goal(self.steps[0]).rows_left():
            self._end()
        self._looked = time.monotonic()

    def wait(self, limit: float) -> None:
        """Wait for the steps that are left, each for what the step before has taken by then.

        Raises:
            UnavailableError: the time is up.
            FailedError: a stream of the step is down.
        """
        while self.steps:
            step, goal = self.steps[0], self._goal(self.steps[0])
            while left := goal.rows_left():
                self.progress.update(f"Draining {step}: {left:,} rows to go")
                _refuse_failed(self.settings, step)
                if time.monotonic() > limit:
                    raise _late(f"{step} has {left:,} rows to go")
                time.sleep(0.5)
            self._end()

    def _end(self) -> None:
        step = self.steps.pop(0)
        self.progress.ended(step, self._rows[step])

    def _goal(self, step: str) -> StepGoal:
        return step_goal(self.settings, _streams_of(step, self.streams), self.ends)


def _streams_of(step: str, streams: Sequence[Stream]) -> list[Stream]:
    return [stream for stream in streams if _step_of(stream.name, stream.layer) == step]


def _step_of(stream: str, layer: str) -> str:
    return BARS if stream == BARS else layer


def _runs_elsewhere(stream: Stream, settings: Settings) -> bool:
    return any(_is_held(table, settings) for table in stream.tables)


def _is_held(table: Table, settings: Settings) -> bool:
    return is_held(settings.run / "locks", table.name)


def _refuse_failed(settings: Settings, step: str) -> None:
    status = read_status(settings.run / "streams.json") or {}
    for stream in status.get("streams", []):
        if _step_of(stream["name"], stream["layer"]) == step and stream["state"] == "failed":
            raise FailedError(f"Stream {stream['name']} is down: {stream['error']}")


def _late(what: str) -> UnavailableError:
    return UnavailableError(
        f"Not drained in time: {what}. Run it again, or with a longer --timeout."
    )
