"""What several commands take: amounts (``2000/s``, ``max``, ``60s``, ``5m``), an exchange's market."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

from k2.errors import ConfigError
from k2.exchanges import Exchange
from k2.settings import Settings

_SECONDS_OF = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def rate_of(text: str) -> float | None:
    """Return records a second; None for ``max``.

    Raises:
        ConfigError: it is not a rate above 0.
    """
    if text == "max":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/s)?", text, re.ASCII)
    if not found or not float(found[1]):
        raise ConfigError(f"{text!r} is not a rate; write 2000/s, or max.")
    return float(found[1])


def seconds_of(text: str) -> float:
    """Return a duration in seconds.

    Raises:
        ConfigError: it is not a duration above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text, re.ASCII)
    if not found or not float(found[1]):
        raise ConfigError(f"{text!r} is not a duration; write 60s, 5m or 1h.")
    return float(found[1]) * _SECONDS_OF[found[2]]


def check_market(exchange: Exchange, market: str | None) -> None:
    """Refuse a market that an exchange has not.

    Raises:
        ConfigError: it has no such market; says which there are.
    """
    if market is not None and market not in exchange.markets:
        known = ", ".join(exchange.markets)
        raise ConfigError(f"{exchange.title} has no market {market!r}. It has: {known}.")


def complete_table(incomplete: str) -> list[str]:
    """Return the stored tables that begin so, for the shell; a home that is wrong has none."""
    with suppress(ConfigError, OSError):
        tables = Settings.load().lake.glob(f"{incomplete}*/_delta_log")
        return sorted(log.parent.name for log in tables)
    return []


def complete_stream(incomplete: str) -> list[str]:
    """Return the streams that begin so, for the shell."""
    # All streams, their processors and clients with them: a second, that other commands do without.
    from k2.topology import stream_names

    return [name for name in stream_names() if name.startswith(incomplete)]


def parse_param(text: str) -> tuple[str, Any]:
    """Return name and value of ``name=value``; a value that is JSON is taken as that.

    Raises:
        ConfigError: there is no name, or no ``=``.
    """
    found = re.fullmatch(r"([a-z_]+)=(.*)", text, re.DOTALL)
    if not found:
        raise ConfigError(f"{text!r} is no parameter; write --param name=value.")
    with suppress(orjson.JSONDecodeError):
        return found[1], orjson.loads(found[2])
    return found[1], found[2]


def since_ms_of(text: str | None) -> int:
    """Return a time in milliseconds since 1970: a duration ago, or an instant with its zone.

    Raises:
        ConfigError: it is neither.
    """
    if text is None:
        return 0
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        try:
            return int((datetime.now(UTC).timestamp() - seconds_of(text)) * 1000)
        except ConfigError:
            raise ConfigError(f"{text!r} is no time; write 2h, or 2026-11-27T14:00:00Z.") from None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)
