"""Times as people give them, and the partitions that a span of time lies in."""

from datetime import UTC, date, datetime, timedelta

from k2.errors import ConfigError
from k2.storage.file_pruning import Condition

Moment = str | datetime | date
_INSTANT = timedelta(microseconds=1)  # the shortest step of a stored time


def moment_of(value: Moment) -> datetime:
    """Return a time in UTC; a day is its first instant, and what has no zone is UTC.

    Raises:
        ConfigError: a text is no time.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigError(
                f"{value!r} is no time; write 2026-07-07, or 2026-07-07T09:30:00, in UTC."
            ) from None
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 — gets its zone below
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ConfigError(f"{value} in UTC is outside the years 1 to 9999.") from None


def days_and_hours(
    start: Moment | None, end: Moment | None, day: str, hour: str | None = None
) -> list[Condition]:
    """Return what holds of the partition columns of rows from ``start`` up to, and without, ``end``."""
    first = None if start is None else moment_of(start)
    last = None if end is None else _before(moment_of(end))
    found: list[Condition] = []
    for operator, bound in ((">=", first), ("<=", last)):
        if bound is not None:
            found.append((day, operator, bound.date()))
    if hour is not None and first is not None and last is not None and first.date() == last.date():
        found += [(hour, ">=", first.hour), (hour, "<=", last.hour)]
    return found


def _before(moment: datetime) -> datetime:
    earliest = datetime.min.replace(tzinfo=UTC)
    return moment - _INSTANT if moment > earliest else earliest
