"""The result of parsing one exchange message, and the checks that parsers share."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

RawRecord = dict[str, Any]

_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


class Parsed(NamedTuple):
    """Exactly one of: raw records of trades, another kind of message, or a rejected one.

    A message is one unit: when one of its trades cannot be used, the whole message is rejected,
    unchanged, so that no part of it is in two places. ``event_us`` is the time of its first trade.
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


class MessageRejected(ValueError):
    """A message or a trade in it cannot become a raw record; the text says why."""


class Literal(str):
    """A JSON number with its literal text, such as ``0.00000100``: no float ever sees it."""

    __slots__ = ()


def decode(message: bytes) -> Any:
    """Decode JSON, keeping the literal text of every fraction.

    Raises:
        MessageRejected: it is not JSON in UTF-8, or holds a number or nesting without bounds.
    """
    return _decode(message, _DECODER)


def refuse_repeated_names(message: bytes, names: int) -> None:
    """Reject a message in which an object has two fields of one name: a parser sees only the last of them.

    Args:
        message: JSON, as it came.
        names: how many fields the parser saw in all objects. Where the text has as many, written as
            exchanges write it, none was hidden.

    Raises:
        MessageRejected: a name is repeated.
    """
    if message.count(b'":') != names:
        _decode(message, _STRICT_DECODER)


def rest_of(fields: Mapping[str, Any]) -> str | None:
    """Return the decoded fields that a record has no other field for, as a JSON object; None if there are none."""
    return json_text(fields) if fields else None


def json_text(value: Any) -> str:
    """Encode what :func:`decode` returned as JSON again, every number as it was written.

    Raises:
        MessageRejected: it is nested too deeply.
    """
    try:
        return _json_text(value)
    except RecursionError as error:
        raise MessageRejected("nested too deeply") from error


def optional_int(fields: dict[str, Any], name: str) -> int | None:
    """Take out a field if it is a JSON integer of at most 64 bits; any other value stays in ``fields``."""
    value = fields.get(name)
    if type(value) is not int or not _LONG_MIN <= value <= _LONG_MAX:
        return None
    del fields[name]
    return value


def optional_str(fields: dict[str, Any], name: str) -> str | None:
    """Take out a field if it is a JSON string that UTF-8 can hold; any other value stays in ``fields``."""
    value = fields.get(name)
    if type(value) is not str or not (value.isascii() or _fits_utf8(value)):
        return None
    del fields[name]
    return value


def str_field(fields: dict[str, Any], name: str) -> str:
    """Take out a field that must be a JSON string that UTF-8 can hold."""
    value = fields.pop(name, None)
    if type(value) is str and value.isascii():
        return value
    return checked_text(value, name)


def checked_text(value: Any, name: str) -> str:
    """Return ``value`` if it is a JSON string that UTF-8 can hold."""
    if type(value) is not str:
        raise MessageRejected(f"{name} is not a text")
    if not (value.isascii() or _fits_utf8(value)):
        raise MessageRejected(f"{name} is half a character")
    return value


def int_field(fields: dict[str, Any], name: str) -> int:
    """Take out a field that must be a JSON integer of at most 64 bits."""
    value = fields.pop(name, None)
    if type(value) is not int or not _LONG_MIN <= value <= _LONG_MAX:
        raise MessageRejected(f"{name} is not a whole number")
    return value


def bool_field(fields: dict[str, Any], name: str) -> bool:
    """Take out a field that must be ``true`` or ``false``."""
    value = fields.pop(name, None)
    if type(value) is not bool:
        raise MessageRejected(f"{name} is not true or false")
    return value


def number_field(fields: dict[str, Any], name: str) -> str:
    """Take out a field that must be a bare JSON number; return its literal text."""
    value = fields.pop(name, None)
    if type(value) is Literal:
        return str(value)
    if type(value) is int:
        return str(value)
    raise MessageRejected(f"{name} is not a number")


def _decode(message: bytes, decoder: json.JSONDecoder) -> Any:
    try:
        text = message.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError("it begins with a byte order mark")
        return decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise MessageRejected(f"not JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def _whole(text: str) -> int | Literal:
    # Minus nought is a number of its own kind, that an int cannot say.
    return Literal(text) if text == "-0" else int(text)


def _no_number(literal: str) -> Any:
    raise ValueError(f"{literal} is not a JSON number")


def _fits_utf8(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _json_text(value: Any) -> str:
    if type(value) is Literal:
        return str(value)
    if isinstance(value, Mapping):
        parts = (f"{json.dumps(name)}:{_json_text(part)}" for name, part in value.items())
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json_text, value)) + "]"
    return json.dumps(value)


def _decoder(make_object: Callable[[list[tuple[str, Any]]], Any] | None) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_float=Literal,
        parse_int=_whole,
        parse_constant=_no_number,
        object_pairs_hook=make_object,
    )


# Made once: `json.loads` would make one for each message, which takes as long as to decode a trade.
_DECODER, _STRICT_DECODER = _decoder(None), _decoder(_object)
