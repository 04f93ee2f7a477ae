"""What several commands take: amounts (``2000/s``, ``max``, ``60s``, ``5m``), an exchange's market."""

import re

from k2.errors import ConfigError
from k2.exchanges import Exchange

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
