"""Turn what people ask for, a market and a time range, into conditions of a scan."""

import re
from datetime import UTC, date, datetime, timedelta

from k2.bars.table import TIMEFRAMES
from k2.errors import ConfigError
from k2.exchanges import exchange_named
from k2.storage.file_pruning import Condition

Moment = str | datetime | date
_SECONDS_OF = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_INSTANT = timedelta(microseconds=1)  # the shortest step of a stored time


def moment_of(value: Moment) -> datetime:
    """Return a time in UTC; a day means its first instant, and a time without a zone is UTC.

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


def moment_before(text: str, now: datetime) -> datetime:
    """Return a time that is given as a time, or as how long ago it was: 90s, 5m, 24h or 7d.

    Raises:
        ConfigError: the text is neither.
    """
    found = re.fullmatch(r"(\d{1,9})([smhd])", text, re.ASCII)
    if not found:
        return moment_of(text)
    try:
        return now - timedelta(seconds=int(found[1]) * _SECONDS_OF[found[2]])
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def of_market(symbol: str | None, exchange: str | None) -> list[Condition]:
    """Return the conditions for a market's rows.

    Raises:
        ConfigError: there is no such exchange.
    """
    market: list[Condition] = []
    if symbol is not None:
        market.append(("symbol", "=", symbol.upper()))
    if exchange is not None:
        market.append(("exchange", "=", exchange_named(exchange).name))
    return market


def between(column: str, start: Moment | None, end: Moment | None) -> list[Condition]:
    """Return the conditions for rows from ``start`` up to, and without, ``end``.

    Raises:
        ConfigError: a text is no time.
    """
    bounds = ((">=", start), ("<", end))
    return [(column, sign, moment_of(bound)) for sign, bound in bounds if bound is not None]


def of_trades(
    symbol: str | None, start: Moment | None, end: Moment | None, exchange: str | None
) -> list[Condition]:
    """Return the conditions for Gold's trades of a market in a time range, including those on partitions.

    Raises:
        ConfigError: there is no such exchange, or a text is no time.
    """
    hours = _days_and_hours(start, end, "exchange_date", "exchange_hour")
    return [*of_market(symbol, exchange), *between("timestamp", start, end), *hours]


def of_bars(
    symbol: str | None,
    timeframe: str,
    start: Moment | None,
    end: Moment | None,
    exchange: str | None,
) -> list[Condition]:
    """Return the conditions for a market's bars of one length that start in a time range.

    Raises:
        ConfigError: there is no such exchange or length, or a text is no time.
    """
    if timeframe not in TIMEFRAMES:
        raise ConfigError(f"There are no bars of {timeframe!r}. Lengths: {', '.join(TIMEFRAMES)}.")
    days = _days_and_hours(start, end, "bar_date")
    market = of_market(symbol, exchange)
    return [("timeframe", "=", timeframe), *market, *between("bar_start", start, end), *days]


def _days_and_hours(
    start: Moment | None, end: Moment | None, day: str, hour: str | None = None
) -> list[Condition]:
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
