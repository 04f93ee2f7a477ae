"""``k2 logs``: what K2 and its services wrote down."""

import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from k2.cli.options import complete_stream, since_ms_of
from k2.cli.render.log_line import log_text
from k2.errors import ConfigError, did_you_mean
from k2.observability.log_lines import SERIOUS, LogLine, LogReader
from k2.settings import Settings
from k2.topology import stream_names

_EVENTS = ("k2", "feed", "service")  # the logs whose lines are events with fields


def logs(
    log: Annotated[
        str | None,
        typer.Argument(
            help="One log, such as kafka, registry or spark; else the events of K2's own."
        ),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(
            help="Events of one stream, such as silver-kraken.", autocompletion=complete_stream
        ),
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Warnings and errors only.")] = False,
    since: Annotated[str | None, typer.Option(help="From then on: 2h, or a time, UTC.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[
        int, typer.Option(min=0, help="How many of the newest; with --since all of that time.")
    ] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print lines as they are, for jq.")
    ] = False,
) -> None:
    """Show the newest events of the streams, the feed and the jobs' service, by time."""
    settings = Settings.load()
    if stream is not None and stream not in stream_names():
        guess = did_you_mean(stream, stream_names())
        known = ", ".join(stream_names())
        raise ConfigError(f"There is no stream {stream!r}.{guess} There are: {known}.")
    reader = LogReader(_files(settings, log))
    asked = _condition(stream, errors, since)

    def wanted(line: LogLine) -> bool:
        return asked(line) and (not as_json or bool(line.fields))  # jq ends at what is no JSON

    show = _printer(as_json)
    without_fields = 0
    newest: deque[LogLine] = deque(maxlen=None if since else lines)
    for line in reader.read():
        if wanted(line):
            newest.append(line)
        elif not line.fields and line.text.strip():
            without_fields += 1
    show(newest)
    if without_fields:
        typer.echo(
            f"{without_fields:,} lines have no fields (K2_LOG_FORMAT=json writes them), and are left out.",
            err=True,
        )
    if follow:
        with suppress(KeyboardInterrupt):
            show(line for line in reader.follow() if wanted(line))


def _files(settings: Settings, log: str | None) -> list[Path]:
    there = sorted(settings.logs.glob("*.log"))
    if log is None:
        found = [settings.logs / f"{name}.log" for name in _EVENTS]
    else:
        found = [file for file in there if file.stem == log]
    if not any(file.exists() for file in found):
        names = [file.stem for file in there]
        what = f"log of {log}" if log else "log"
        others = f"{did_you_mean(log, names) if log else ''} There are: {', '.join(names)}."
        raise ConfigError(
            f"K2_HOME={settings.home} has no {what} yet.{others if names else ''}"
            f"{'' if names else ' `k2 up` writes one.'}"
        )
    return found


def _condition(stream: str | None, errors: bool, since: str | None) -> Callable[[LogLine], bool]:
    """Lines without fields pass where nothing is asked of fields."""
    first = ""
    if since:
        instant = datetime.fromtimestamp(since_ms_of(since) / 1000, UTC)
        first = instant.isoformat(timespec="microseconds").removesuffix("+00:00")

    def wanted(line: LogLine) -> bool:
        return (
            line.time >= first
            and (stream is None or line.fields.get("job_name") == stream)
            and (not errors or line.fields.get("level") in SERIOUS)
        )

    return wanted


def _printer(as_json: bool) -> Callable[[Iterable[LogLine]], None]:
    console = Console(highlight=False, soft_wrap=True)

    def show(found: Iterable[LogLine]) -> None:
        for line in found:
            if as_json:
                typer.echo(line.text)
            else:
                console.print(log_text(line))
            sys.stdout.flush()  # somebody follows by a pipe

    return show
