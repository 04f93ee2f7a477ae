"""Whose messages a recording has: asked before the wrong exchange's are sent."""

from collections import Counter
from itertools import islice
from pathlib import Path

from k2.errors import ConfigError
from k2.exchanges import Exchange, exchange_named
from k2.exchanges.parsers import PARSERS
from k2.feeds.recordings import Recording

_LOOKED_AT = 200  # messages; a recording begins with some that are no trades
_TIME_US = 1  # when it was received, which no parser judges


def require_exchange(path: Path, exchange: Exchange) -> None:
    """See that a recording is not another exchange's.

    One in which nobody finds a trade is left to the replay, which counts what it is.

    Raises:
        ConfigError: only another exchange's parser finds trades in it; names that exchange.
    """
    found: Counter[str] = Counter()
    for message in _first_messages(path):
        for name, parse in PARSERS.items():
            found[name] += len(parse(message, _TIME_US).trades)
    if found[exchange.name] or not found.total():
        return
    other = exchange_named(found.most_common(1)[0][0])
    raise ConfigError(
        f"{path} has messages of {other.title}, not of {exchange.title}:"
        f" write --exchange {other.name}."
    )


def _first_messages(path: Path) -> list[bytes]:
    if not path.is_file():
        return []  # what comes through a pipe can be read once
    try:
        lines = islice(Recording(path), _LOOKED_AT)
        return [line.message for line in lines if line.message is not None]
    except ConfigError:
        return []  # a broken one is for the replay to say
