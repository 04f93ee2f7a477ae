"""``replay``: recorded exchange messages into Kafka, some thousands a step."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from k2.exchanges import Exchange, exchange_named
from k2.feeds.recorded_exchange import require_exchange
from k2.feeds.recordings import Line, Recording
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.kinds.parameters import ExchangeName
from k2.jobs.model import StepResult

if TYPE_CHECKING:
    from k2.avro.encoding import Encoder
    from k2.exchanges.parsing import RawRecord
    from k2.feeds.archive_holes import ArchiveHoles
    from k2.feeds.replay import Sink

SPEEDS = {"max": 0.0, "1x": 1.0, "10x": 10.0}


class ReplayParams(JobParams):
    """Which recordings, whose messages they are, and how fast they follow each other."""

    files: tuple[str, ...] = Field(
        min_length=1, max_length=1_000, description="Recordings on the service's machine."
    )
    exchange: ExchangeName = Field(description="Whose messages they are.")
    speed: Literal["max", "1x", "10x"] = Field(
        "max", description="As fast as possible, or as recorded."
    )
    market: str | None = Field(
        None,
        description="Which of the exchange's markets they are of, where messages do not say.",
    )
    progress_interval: int = Field(
        10_000, ge=1, le=1_000_000, description="Messages of a step, after which progress is told."
    )

    @field_validator("files")
    @classmethod
    def _exist(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for file in files:
            if "\0" in file:
                raise ValueError("a path holds no zero byte")
            Recording(Path(file))
        return tuple(str(Path(file).absolute()) for file in files)

    @model_validator(mode="after")
    def _fit(self) -> "ReplayParams":
        exchange = exchange_named(self.exchange)
        if self.market is not None and self.market not in exchange.markets:
            known = ", ".join(exchange.markets)
            raise ValueError(f"{exchange.title} has no market {self.market!r}. It has: {known}")
        for file in self.files:
            require_exchange(Path(file), exchange)
        return self


def run_replay(run: JobRun, params: ReplayParams) -> dict[str, Any]:
    """Send the files one after the other. A step that runs again sends its messages again, which
    Silver recognises as duplicates.
    """
    from k2.feeds.producer import FeedProducer
    from k2.home.endpoints import find_endpoints

    exchange = exchange_named(params.exchange)
    endpoints = find_endpoints(run.settings)
    encode = prepare_encoder(run, exchange)
    with FeedProducer(endpoints.kafka) as producer:
        files = [
            _send_file(run, params, Path(file), exchange, encode, producer) for file in params.files
        ]
    return {"exchange": exchange.name, "files": files}


def prepare_encoder(run: JobRun, exchange: Exchange) -> "Encoder":
    """Make topics and register schemas, which does nothing where they are there."""
    from k2.avro.encoding import encoder
    from k2.avro.schema_files import schema_text
    from k2.connectors.schema_registry import SchemaRegistry
    from k2.feeds.topics import prepare_events_topic, prepare_topics
    from k2.home.endpoints import find_endpoints
    from k2.retry import call_with_retry

    endpoints = find_endpoints(run.settings)

    def prepare() -> dict[str, int]:
        prepare_topics(endpoints, exchange, run.settings.topic_partitions)
        prepare_events_topic(endpoints)  # no live feed may ever have run
        return SchemaRegistry(endpoints.registry).register(exchange)

    ids = call_with_retry(prepare, policy=run.policy, sleep=run.wait)
    return encoder(schema_text(exchange.reader_schema), ids[exchange.reader_schema])


def _send_file(
    run: JobRun,
    params: ReplayParams,
    file: Path,
    exchange: Exchange,
    encode: "Encoder",
    sink: "Sink",
) -> dict[str, Any]:
    from k2.feeds.archive_holes import ArchiveHoles
    from k2.feeds.replay import FileCounts, Pace, replay_lines

    holes = ArchiveHoles(exchange)

    def encode_and_follow(record: "RawRecord") -> bytes:
        holes.take(record)
        return encode(record)

    chunks = _Chunks(file, params.progress_interval)
    pace = Pace(SPEEDS[params.speed], wait=run.wait)
    total = FileCounts(str(file))
    number, more = 0, True
    while more:

        def send(number: int = number) -> StepResult:
            counts = FileCounts(str(file))
            lines, more = chunks.take(number)
            market = params.market if len(exchange.markets) > 1 else None
            replay_lines(lines, exchange, encode_and_follow, sink, counts, pace, market=market)
            _note(holes, file, sink)
            return StepResult(rows=counts.lines, data={**counts.as_json(), "more": more})

        data = run.step(f"send {file.name} {number + 1}", send).data
        for name in ("lines", "trades", "other", "rejected", "sent"):
            setattr(total, name, getattr(total, name) + data[name])
        number, more = number + 1, bool(data["more"])
    return total.as_json()


def _note(holes: "ArchiveHoles", file: Path, sink: "Sink") -> None:
    """Tell which numbers the file skips: coverage knows by that that they cannot be had from it.

    A run that goes on after a crash begins to follow them where it goes on.
    """
    from k2.feeds.archive_holes import ARCHIVE_GAP
    from k2.feeds.live.journal import FeedJournal

    found = holes.found()
    for skipped in found:
        journal = FeedJournal(
            holes.exchange.name,
            skipped.service.name,
            lambda record: sink.send(record.topic, record.key, record.value, record.time_ms),
        )
        numbers = {"first": skipped.first, "last": skipped.last}
        journal.write(ARCHIVE_GAP, markets=[skipped.market], reason=file.name, **numbers)
    if found:
        sink.flush()


class _Chunks:
    """A recording in pieces of so many lines; asked for in order, some perhaps not at all."""

    def __init__(self, file: Path, size: int) -> None:
        self._size = size
        self._lines = iter(Recording(file))
        self._ahead = list(islice(self._lines, 1))
        self._next = 0
        self._last: tuple[int, list[Line], bool] | None = None

    def take(self, number: int) -> tuple[list[Line], bool]:
        """Return a piece, and whether there is more; the same one again when asked again."""
        if self._last is None or self._last[0] != number:
            for _ in range(number - self._next):
                self._read()
            self._next = number + 1
            self._last = (number, self._read(), bool(self._ahead))
        return self._last[1], self._last[2]

    def _read(self) -> list[Line]:
        piece = self._ahead + list(islice(self._lines, self._size))
        self._ahead = piece[self._size :]
        return piece[: self._size]


REPLAY = JobKind(
    "replay",
    "Send recorded exchange messages to Kafka and count what they were.",
    ReplayParams,
    run_replay,
)
