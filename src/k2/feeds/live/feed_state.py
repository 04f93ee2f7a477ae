"""The state of a live feed under ``K2_HOME/run/feeds``: the numbers that Kafka has, and the holes."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
import structlog

from k2.errors import InUseError
from k2.feeds.live.holes import MarketNumbers
from k2.home.atomic_files import replace_whole
from k2.home.locks import exclusive, is_held
from k2.settings import Settings

log = structlog.get_logger("k2.feeds")


MAX_PLACES = 4  # processes of live feeds on one home


@contextmanager
def feed_place(settings: Settings) -> Iterator[int]:
    """Hold the first free place of a feed's process on this home, 0 or more.

    Two may run at once, as in a rolling restart: each has its own state and spool.

    Raises:
        InUseError: all places are taken.
    """
    for place in range(MAX_PLACES):
        with ExitStack() as held:
            try:
                held.enter_context(hold_place(settings, place))
            except InUseError:
                if place == MAX_PLACES - 1:
                    raise
                continue
            yield place
            return


@contextmanager
def hold_place(settings: Settings, place: int) -> Iterator[None]:
    """Hold one place.

    Raises:
        InUseError: a process has it.
    """
    with exclusive(settings.run / "locks", [placed("feed-live", place)], "live feed"):
        yield


def is_taken(settings: Settings, place: int) -> bool:
    """Tell whether a process has a place."""
    return is_held(settings.run / "locks", placed("feed-live", place))


def placed(name: str, place: int) -> str:
    """Return a name of the process at a place: the name itself at the first."""
    return name if place == 0 else f"{name}.{place}"


def state_file(settings: Settings, name: str) -> Path:
    """Return where a state is kept."""
    return settings.run / "feeds" / f"{name}.json"


def read_state(settings: Settings, service: str, place: int = 0) -> dict[str, MarketNumbers]:
    """Return what earlier runs left, by market: the holes of this place, the newest numbers of any.

    Nothing where there is none or it is unreadable: then a market's next trade shows no hole before it.
    """
    found = read_place(settings, service, place)
    for other in range(MAX_PLACES):
        for market, numbers in read_place(settings, service, other).items():
            known = found.setdefault(market, MarketNumbers())
            if known.newest is None or (numbers.newest or 0) > known.newest:
                known.newest, known.newest_us = numbers.newest, numbers.newest_us
    return found


def read_place(settings: Settings, service: str, place: int) -> dict[str, MarketNumbers]:
    """Return what the process at a place left, or has written last."""
    file = state_file(settings, placed(service, place))
    try:
        content = orjson.loads(file.read_bytes())
        return {market: MarketNumbers.from_json(found) for market, found in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("feed_state_unreadable", file=str(file), reason=str(error)[:200])
        return {}


def adopt_holes(numbers: dict[str, MarketNumbers], left: Mapping[str, MarketNumbers]) -> None:
    """Add the holes of an ended process to ``numbers``, by market."""
    for market, other in left.items():
        known = numbers.setdefault(market, MarketNumbers())
        for hole in other.holes:
            known.add(hole)


def state_content(numbers: Mapping[str, MarketNumbers]) -> bytes:
    """Return the state as it is written."""
    return orjson.dumps({market: known.as_json() for market, known in numbers.items()})


def write_state(settings: Settings, name: str, content: bytes) -> None:
    """Replace a state, whole or not at all."""
    file = state_file(settings, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(file, content)
