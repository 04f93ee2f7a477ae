"""The states of a market's hour, and the classes and states of a gap."""

from enum import StrEnum


class Condition(StrEnum):
    """What a reader can expect of a market's hour."""

    AVAILABLE = "available"
    DEGRADED = "degraded"
    PENDING = "pending"
    MISSING = "missing"


class Cause(StrEnum):
    """The class of a gap: why its trades did not come."""

    FEED_DOWN = "feed down"
    EXCHANGE_HALTED = "exchange halted"
    SOURCE_ARCHIVE = "source archive"
    UNKNOWN = "unknown"


class GapState(StrEnum):
    """What became of a gap."""

    OPEN = "open"
    REPAIRED = "repaired"
    ACCEPTED = "accepted"
