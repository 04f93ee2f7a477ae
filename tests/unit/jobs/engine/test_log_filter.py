"""Of the engine's own log a line a minute and place comes through, without tracebacks."""

import logging
from collections.abc import Callable, Iterator

import pytest

from k2.jobs.engine import log_filter
from k2.jobs.engine.log_filter import quieten_dbos


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    """What comes through, of a logger that is quietened as dbos's is."""
    logger, found = logging.getLogger("dbos"), list[logging.LogRecord]()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    held, filters = list(logger.handlers), list(logger.filters)
    logger.handlers[:], logger.filters[:] = [], []
    quieten_dbos()
    quieten_dbos()  # by each engine that starts
    keep = Keep()
    logger.addHandler(keep)
    yield found
    logger.handlers[:], logger.filters[:] = held, filters


@pytest.fixture
def say() -> Callable[..., None]:
    """Log as the engine does at a line of its code."""

    def log(message: str, line: int = 1) -> None:
        error = ValueError("details")
        record = logging.LogRecord(
            *("dbos", logging.WARNING, "dbos/x.py", line, message, ()),
            (ValueError, error, None),
        )
        logging.getLogger("dbos").handle(record)

    return log


def test_the_same_line_is_said_once_a_minute(
    lines: list[logging.LogRecord], say: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(log_filter.time, "monotonic", lambda: now[0])
    for second in range(125):
        now[0] = float(second)
        say("the database is away")

    assert len(lines) == 3
    assert all(record.exc_info is None for record in lines)


def test_a_jobs_own_failure_is_left_to_K2(
    lines: list[logging.LogRecord], say: Callable[..., None]
) -> None:
    say("Exception encountered in asynchronous workflow")

    assert lines == []


def test_lines_of_many_places_are_all_said_and_not_remembered_for_ever(
    lines: list[logging.LogRecord], say: Callable[..., None]
) -> None:
    for line in range(1_000):
        say("odd", line)

    (sparing,) = logging.getLogger("dbos").filters
    assert len(lines) == 1_000
    assert len(sparing._last) <= log_filter._MAX_REMEMBERED + 1  # type: ignore[union-attr]
