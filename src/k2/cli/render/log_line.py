"""A log's event as a person reads it."""

from typing import Any

import orjson
from rich.text import Text

from k2.observability.log_lines import LogLine

_COLORS = {"warning": "yellow", "error": "red", "critical": "red"}
_APART = ("time", "level", "event", "job_name", "exception")


def log_text(line: LogLine) -> Text:
    """Return time, level, event, stream and the other fields; a traceback stands below."""
    fields = line.fields
    if not fields:
        return Text(_shown(line.text) if not line.text.isprintable() else line.text)
    level = str(fields.get("level", ""))
    text = Text(f"{line.time[:10]} {line.time[11:19]} ")
    text.append(f"{_shown(level):<8}", _COLORS.get(level, ""))
    text.append(_shown(fields.get("event", "")), "bold")
    text.append(f" {_shown(fields.get('job_name', line.log))}")
    for name, value in fields.items():
        if name not in _APART:
            text.append(f" {_shown(name)}=", "dim")
            text.append(_shown(value))
    for below in str(fields.get("exception") or "").splitlines():
        text.append(f"\n    {_shown(below) if not below.isprintable() else below}")
    return text


def _shown(value: Any) -> str:
    """A plain word as it is; all else as JSON, so that no value can write to the terminal."""
    if isinstance(value, str) and value.isprintable() and " " not in value:
        return value
    return orjson.dumps(value).decode()
