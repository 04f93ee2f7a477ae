"""The result of one check of ``k2 doctor``."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


class Check(NamedTuple):
    """One thing looked at."""

    name: str
    state: State
    found: str
    remedy: str = ""


def level_of(found: float, needed: float, wanted: float) -> State:
    """Return missing below what is needed, and a warning below what is wanted."""
    if found < needed:
        return State.MISSING
    return State.OK if found >= wanted else State.WARNING
