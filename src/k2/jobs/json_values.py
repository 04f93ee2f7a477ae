"""Encode everything that the registry stores as JSON; nothing is ever unpickled.

An error is stored as its class, message, exit code and whether a retry can help. K2's own classes
come back as themselves, all others as :class:`RemoteError` with the same facts.
"""

from typing import Any

import orjson

from k2 import errors
from k2.errors import FailedError, K2Error, first_line
from k2.observability.redaction import redacted

_ERROR = "$error"
MAX_BYTES = 65_536  # of a stored value: counts, offsets, ids; never rows
_MAX_MESSAGE = 2_000


class RemoteError(FailedError):
    """An error of a class that this process does not have."""


def dumps(value: Any) -> str:
    """Return a value as JSON.

    Raises:
        ConfigError: it is none, or larger than what belongs into a registry.
    """
    try:
        data = orjson.dumps(error_facts(value) if isinstance(value, BaseException) else value)
    except TypeError as error:
        raise errors.ConfigError(f"A job's value is no JSON: {error}.") from error
    if len(data) > MAX_BYTES:
        raise errors.ConfigError(
            f"A job's value has {len(data):,} bytes; {MAX_BYTES:,} are the most that the registry"
            " keeps. Write it to a file and name the file."
        )
    return data.decode()


def loads(text: str | bytes | None) -> Any:
    """Return the value of JSON; an error comes back as an exception."""
    value = None if text is None else orjson.loads(text)
    return error_of(value) if isinstance(value, dict) and _ERROR in value else value


def error_facts(error: BaseException) -> dict[str, Any]:
    """Return what is stored of an error, without secrets."""
    message = str(redacted(str(error)))[:_MAX_MESSAGE]
    known = isinstance(error, K2Error)
    if not known:
        message = f"{type(error).__name__}: {first_line(message)}"
    return {
        _ERROR: getattr(error, "class_name", type(error).__name__),
        "message": message,
        "exit_code": error.exit_code if isinstance(error, K2Error) else FailedError.exit_code,
        "retryable": error.retryable if isinstance(error, K2Error) else False,
        "attempts": getattr(error, "attempts", 1),
    }


def error_of(facts: dict[str, Any]) -> K2Error:
    """Return the error that stored facts describe."""
    name, message = str(facts.get(_ERROR, "")), str(facts.get("message", ""))
    kind = getattr(errors, name, RemoteError)
    if not (isinstance(kind, type) and issubclass(kind, K2Error)):
        kind = RemoteError
    error: K2Error = kind(message)
    error.attempts = facts.get("attempts", 1)  # type: ignore[attr-defined]
    if kind is RemoteError:
        error.class_name = name  # type: ignore[attr-defined]
        error.exit_code = int(facts.get("exit_code", 1))  # type: ignore[misc]
        error.retryable = bool(facts.get("retryable", False))  # type: ignore[misc]
    return error


def public_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return stored facts of an error as people see them: ``class``, ``message``, and so on."""
    return {("class" if name == _ERROR else name): value for name, value in facts.items()}


def stored_facts(public: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`public_facts` was given."""
    return {(_ERROR if name == "class" else name): value for name, value in public.items()}


def error_class(facts: dict[str, Any] | None) -> str:
    """Return the class of stored facts; empty for none."""
    return str((facts or {}).get(_ERROR, ""))
