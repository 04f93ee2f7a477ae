"""Replay of recordings: their messages parsed, framed and sent, as fast as wanted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep, time_ns
from typing import Protocol

from k2.avro.encoding import Encoder
from k2.exchanges import Exchange
from k2.exchanges.parsers import parser_of
from k2.exchanges.parsing import Parsed, Parser
from k2.feeds.recordings import Line, Recording

_PROGRESS_EVERY = 500


class Sink(Protocol):
    """Where records go: a :class:`~k2.feeds.producer.FeedProducer`, or a list in a test."""

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, time_ms: int | None = None
    ) -> None:
        """Send one record, with that Kafka timestamp or the present one."""

    def flush(self, seconds: float | None = None) -> None:
        """Wait until all are there, at most so long."""


@dataclass
class FileCounts:
    """What became of one file: lines = trade messages + ``other`` + ``rejected``."""

    file: str
    lines: int = 0
    trades: int = 0
    other: int = 0
    rejected: int = 0
    sent: int = 0

    def as_json(self) -> dict[str, str | int]:
        """Return the counts as a JSON object."""
        return asdict(self)


Progress = Callable[[int, int], None]  # bytes read and bytes there are, over all files


class Pace:
    """Waits so that messages follow each other as they did, ``speed`` times as fast.

    Speed 0 never waits. A step back in time or a message without one is sent at once.
    """

    def __init__(
        self,
        speed: float,
        clock: Callable[[], float] = monotonic,
        wait: Callable[[float], None] = sleep,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._wait = wait
        self._first: tuple[int, float] | None = None

    def keep(self, moment_us: int | None) -> None:
        """Wait until it is time for what happened at ``moment_us``."""
        if not self._speed or moment_us is None:
            return
        if self._first is None:
            self._first = moment_us, self._clock()
            return
        first_us, started = self._first
        ahead = (moment_us - first_us) / 1e6 / self._speed - (self._clock() - started)
        if ahead > 0:
            self._wait(ahead)


def replay(
    files: Sequence[Path],
    exchange: Exchange,
    encode: Encoder,
    sink: Sink,
    *,
    speed: float = 0,
    market: str | None = None,
    progress: Progress = lambda _done, _size: None,
    now_us: Callable[[], int] = lambda: time_ns() // 1000,
) -> Iterator[FileCounts]:
    """Send every trade of ``files`` and every message that is no usable one; yield each file's counts.

    All files are looked at before the first record is sent. A line's receive time becomes the
    trade's ingestion time, and ``now_us`` where it has none. ``market`` says which of the exchange's
    markets the recordings are of, whatever the messages say.

    Raises:
        ConfigError: a file is missing, empty or broken; what came before the break has been sent.
        UnavailableError: Kafka did not take everything.
    """
    parse = parser_of(exchange.name)
    recordings = [Recording(path) for path in files]
    size = sum(recording.size for recording in recordings)
    done = 0
    for recording in recordings:
        counts = FileCounts(str(recording.path))
        pace = Pace(speed)
        try:
            for line in recording:
                counts.lines += 1
                _send_line(line, exchange, parse, encode, sink, pace, counts, now_us, market)
                if counts.lines % _PROGRESS_EVERY == 0:
                    progress(done + recording.position, size)
        finally:
            sink.flush()
        done += recording.size
        progress(done, size)
        yield counts


def replay_lines(
    lines: Iterable[Line],
    exchange: Exchange,
    encode: Encoder,
    sink: Sink,
    counts: FileCounts,
    pace: Pace,
    now_us: Callable[[], int] = lambda: time_ns() // 1000,
    market: str | None = None,
) -> None:
    """Send what some lines of a recording hold, wait until it is there, and count it.

    Raises:
        UnavailableError: Kafka did not take everything.
    """
    parse = parser_of(exchange.name)
    try:
        for line in lines:
            counts.lines += 1
            _send_line(line, exchange, parse, encode, sink, pace, counts, now_us, market)
    finally:
        sink.flush()


def _send_line(
    line: Line,
    exchange: Exchange,
    parse: Parser,
    encode: Encoder,
    sink: Sink,
    pace: Pace,
    counts: FileCounts,
    now_us: Callable[[], int],
    market: str | None,
) -> None:
    if line.message is None:
        counts.other += 1
        return
    parsed = parse(line.message, line.received_us or now_us())
    pace.keep(line.received_us or parsed.event_us)
    if market is not None:
        for trade in parsed.trades:
            trade["market"] = market
    _send(parsed, line.message, exchange, encode, sink, counts)


def _send(
    parsed: Parsed,
    message: bytes,
    exchange: Exchange,
    encode: Encoder,
    sink: Sink,
    counts: FileCounts,
) -> None:
    if parsed.kind == "rejected":
        sink.send(exchange.rejected_topic, None, message)
        counts.rejected += 1
        counts.sent += 1
    elif not parsed.trades:
        counts.other += 1
    for trade in parsed.trades:
        sink.send(exchange.topic, trade["symbol"].encode(), encode(trade))
        counts.trades += 1
        counts.sent += 1
