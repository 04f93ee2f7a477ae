"""What a parser makes of one exchange message, and the checks that parsers share."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

RawRecord = dict[str, Any]

_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Parsed:
    """Exactly one of: raw records of trades, another kind of message, or a rejected one.

    A message is one unit: when one trade of a batch cannot be used, the whole message is rejected,
    unchanged, so that nothing of it is in two places. ``event_us`` is the time of its first trade.
    """

    trades: tuple[RawRecord, ...] = ()
    event_us: int | None = None
    rejected: str | None = None

    @property
    def kind(self) -> str:
        """One of ``trades``, ``other`` and ``rejected``."""
        if self.rejected is not None:
            return "rejected"
        return "trades" if self.trades else "other"


# A parser takes the message as it came and when it was received, in µs since 1970.
Parser = Callable[[bytes, int], Parsed]

OTHER = Parsed()


def rejected(reason: str) -> Parsed:
    """Return the outcome of a message that cannot be used."""
    return Parsed(rejected=reason)


class Unusable(ValueError):
    """A message or a trade in it cannot become a raw record; the text says why."""


class Literal(str):
    """A JSON number with its literal text, such as ``0.00000100``: no float ever sees it."""

    __slots__ = ()


def decode(message: bytes) -> Any:
    """Read JSON with the literal text of every fraction.

    Raises:
        Unusable: it is not JSON in UTF-8, or holds a number or nesting without bounds.
    """
    try:
        return json.loads(message.decode("utf-8"), parse_float=Literal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"not JSON: {error}") from error


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return a field that must be a JSON string, fit for UTF-8."""
    return checked_text(fields.get(name), name)


def checked_text(value: Any, name: str) -> str:
    """Return ``value`` if it is a JSON string that UTF-8 can hold."""
    if type(value) is not str:
        raise Unusable(f"{name} is not a text")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise Unusable(f"{name} is half a character") from None
    return value


def whole_of(fields: Mapping[str, Any], name: str) -> int:
    """Return a field that must be a JSON integer of at most 64 bits."""
    value = fields.get(name)
    if type(value) is not int or not _LONG_MIN <= value <= _LONG_MAX:
        raise Unusable(f"{name} is not a whole number")
    return value


def truth_of(fields: Mapping[str, Any], name: str) -> bool:
    """Return a field that must be ``true`` or ``false``."""
    value = fields.get(name)
    if type(value) is not bool:
        raise Unusable(f"{name} is not true or false")
    return value


def number_text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return the literal text of a field that must be a bare JSON number."""
    value = fields.get(name)
    if type(value) is Literal:
        return str(value)
    if type(value) is int:
        return str(value)
    raise Unusable(f"{name} is not a number")


def _no_number(literal: str) -> Any:
    raise ValueError(f"{literal} is not a JSON number")
