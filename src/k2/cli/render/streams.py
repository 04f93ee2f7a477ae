"""The streams as a table that changes while one looks at it."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

_COLORS = {"running": "green", "retrying": "yellow", "failed": "red"}


def streams_table(streams: Iterable[Mapping[str, Any]], title: str | None = None) -> Table:
    """Return the table of the streams' public status (:mod:`k2.observability.status`)."""
    table = Table(title=escape(title or "") or None, title_justify="left", caption_justify="left")
    table.add_column("stream")
    table.add_column("state")
    for heading in ("rows", "rows/s", "batch", "lag", "freshness", "dead letters", "duplicates"):
        table.add_column(heading, justify="right")
    streams = list(streams)
    for stream in streams:
        color = _COLORS.get(stream["state"], "dim")
        table.add_row(
            stream["name"],
            f"[{color}]{stream['state']}[/{color}]",
            f"{stream['rows']:,}",
            f"{stream['rows_per_second']:,.0f}",
            _seconds(stream["batch_seconds"]),
            "–" if stream["lag"] is None else f"{stream['lag']:,}",
            _seconds(stream["freshness_seconds"]),
            *_aside(stream),
        )
    errors = [f"{stream['name']}: {stream['error']}" for stream in streams if stream["error"]]
    table.caption = escape("\n".join(errors)) or None
    return table


def _aside(stream: Mapping[str, Any]) -> tuple[str, str]:
    if stream["layer"] != "silver":
        return "", ""
    return f"{sum(stream['dead_letters'].values()):,}", f"{stream['duplicates']:,}"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"
