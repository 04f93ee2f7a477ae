"""The streams as a table that changes while one looks at it."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape

from k2.cli.render.fitting_table import FittingTable

_COLORS = {"running": "green", "retrying": "yellow", "paused": "yellow", "failed": "red"}

_HEADINGS = {
    "stream": "left",
    "state": "left",
    **dict.fromkeys(("rows", "rows/s", "batch", "lag", "freshness"), "right"),
    **dict.fromkeys(("dead letters", "duplicates"), "right"),
}


def streams_table(streams: Iterable[Mapping[str, Any]], title: str | None = None) -> FittingTable:
    """Return the table of the streams' public status (:mod:`k2.observability.status`).

    Names and states are whole however narrow it is; the other columns go from the least important on.
    """
    streams = list(streams)
    rows = [
        [
            stream["name"],
            _colored(stream["state"]),
            f"{stream['rows']:,}",
            f"{stream['rows_per_second']:,.0f}",
            _seconds(stream["batch_seconds"]),
            "–" if stream["lag"] is None else f"{stream['lag']:,}",
            _seconds(stream["freshness_seconds"]),
            *_aside(stream),
        ]
        for stream in streams
    ]
    errors = [f"{stream['name']}: {stream['error']}" for stream in streams if stream["error"]]
    return FittingTable(
        _HEADINGS,
        rows,
        escape(title or ""),
        escape("\n".join(errors)),
        drop=("batch", "duplicates", "rows", "dead letters", "rows/s", "freshness", "lag"),
        more="`k2 status --json` has all",
    )


def _colored(state: str) -> str:
    color = _COLORS.get(state, "dim")
    return f"[{color}]{state}[/{color}]"


def _aside(stream: Mapping[str, Any]) -> tuple[str, str]:
    if stream["layer"] != "silver":
        return "", ""
    return f"{sum(stream['dead_letters'].values()):,}", f"{stream['duplicates']:,}"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"
