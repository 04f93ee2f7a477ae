"""Handle unexpected errors: one sentence for the user, and the traceback in the log."""

import json
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path

from k2.environment import inherited
from k2.errors import K2Error, first_line, text_of
from k2.observability.redaction import redacted

_MAX_TEXT = 300


def describe_unexpected(error: BaseException) -> str:
    """Return the sentence of an error that is none of K2's, and keep its traceback.

    It goes to ``K2_HOME/logs/k2.log``, or with ``K2_LOG_LEVEL=debug`` to standard error.
    """
    name = type(error).__name__
    said = text_of(error)
    text = first_line(said, _MAX_TEXT) if said.strip() else ""
    sentence = f"Unexpected {name}{': ' if text else ''}{text.rstrip('.')}."
    trace = redacted("".join(traceback.format_exception(error)))
    log = _find_log()
    if _is_debug():
        sys.stderr.write(trace)
    elif log is not None and _append(log, trace):
        return f"{sentence} The traceback is in {log}."
    else:
        return f"{sentence} Set K2_LOG_LEVEL=debug to see the traceback."
    return sentence


def keep_traces_of_threads() -> None:
    """Say of an error that ends a thread what is said of one that ends the program."""
    threading.excepthook = _describe_in_thread


def _describe_in_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit | KeyboardInterrupt):
        return
    thread = ended.thread.name if ended.thread else "gone"
    sys.stderr.write(f"k2: Thread {thread}: {describe_unexpected(ended.exc_value)}\n")


def _find_log() -> Path | None:
    """The log of a home that is there: an error makes none."""
    from k2.settings import Settings  # what is wrong may be in there

    try:
        settings = Settings.load()
    except K2Error:
        return None
    return settings.logs / "k2.log" if settings.home.is_dir() else None


def _is_debug() -> bool:
    return inherited().get("K2_LOG_LEVEL", "").lower() == "debug"


def _append(log: Path, trace: str) -> bool:
    event = {
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "level": "critical",
        "event": "unexpected_error",
        "command": " ".join(["k2", *sys.argv[1:3]]),
        "exception": trace,
    }
    try:
        log.parent.mkdir(exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            # A line of JSON like the others there, which people read with jq.
            file.write(json.dumps(event) + "\n")
    except OSError:
        return False
    return True
