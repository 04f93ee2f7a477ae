"""The dashboards' content in a terminal: ``k2 status --watch``."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from k2.cli.render.fitting_table import FittingTable
from k2.cli.render.streams import streams_table
from k2.exchanges import EXCHANGES
from k2.observability.scrapes import Scrape, ScrapeDelta

_LOOK_SECONDS = 2.0
_LINES_BESIDE = 4  # of a table: title, headings, a rule, and what it left out
_WINDOW = 30  # looks that rates and quantiles are over: a minute

Facts = Mapping[str, Any]  # of :func:`k2.cli.commands.status.collect`
_Limits = tuple[float, float]  # from where on yellow, and red


def watch(
    collect: Callable[[], Facts],
    console: Console,
    looks: int | None = None,
    host: str = "127.0.0.1",
) -> None:
    """Show what the dashboards show until Ctrl-C, or for a number of looks."""
    readings: list[Scrape] = []
    with suppress(KeyboardInterrupt), _shown(console) as show:
        while looks is None or looks > 0:
            facts = collect()
            readings = [*readings[-_WINDOW:], read(facts["streams"], host)]
            height = console.height if console.is_terminal else None
            show(dashboard(facts, ScrapeDelta(readings[0], readings[-1]), height))
            looks = None if looks is None else looks - 1
            if looks != 0:
                time.sleep(_LOOK_SECONDS)


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[Group], None]]:
    """On a terminal each screen replaces the one before; elsewhere it follows it."""
    if not console.is_terminal:
        yield console.print
        return
    with Live(console=console, auto_refresh=False) as live:
        yield partial(live.update, refresh=True)


def read(streams: Iterable[Mapping[str, Any]], host: str = "127.0.0.1") -> Scrape:
    """Read the metrics of streams; one that does not answer is left out."""
    pages = []
    with httpx.Client(trust_env=False, timeout=1.0) as client:
        for port in filter(None, (stream.get("metrics_port") for stream in streams)):
            with suppress(httpx.HTTPError):
                pages.append(client.get(f"http://{host}:{port}/metrics").text)
    return Scrape.of(time.time(), pages)


def dashboard(facts: Facts, change: ScrapeDelta, height: int | None = None) -> Group:
    """Return all of it: streams, data quality, pipeline, machine.

    What is too much for a ``height`` is left out, and said: the pipeline's latencies.
    """
    streams = facts["streams"]
    if not streams:
        return Group(Text("No streams run here. `k2 up` starts them."))
    title = f"K2 in {facts['home']} — Ctrl-C ends the view"
    head = [streams_table(streams, title), _quality(change)]
    lines = 2 * (len(streams) + _LINES_BESIDE) + len(EXCHANGES) + _LINES_BESIDE + 1
    if height is not None and height < lines:
        left_out = Text(f"From {lines} lines on it shows latencies and backlogs too.", style="dim")
        return Group(*head, _machine(change.after), left_out)
    return Group(*head, _pipeline(streams, change), _machine(change.after))


def _pipeline(streams: Iterable[Mapping[str, Any]], change: ScrapeDelta) -> FittingTable:
    headings = ("records/min", "p50", "p99", "backlog", "checkpoint lag", "failed", "restarts")
    rows = []
    for name in (stream["name"] for stream in streams):
        p50, p99 = (
            change.quantile(share, "k2_e2e_latency_seconds", stream=name) for share in (0.5, 0.99)
        )
        after = change.after
        row = (
            name,
            f"{change.per_minute('k2_records_processed_total', stream=name):,.0f}",
            _seconds(p50, (300, 600)),
            _seconds(p99, (300, 600)),
            f"{after.total('k2_backlog_records', stream=name):,.0f}",
            _seconds(after.most("k2_checkpoint_lag_seconds", stream=name), (60, 300)),
            _marked(after.total("k2_batch_failures_total", stream=name), ",.0f", (1, 1)),
            _marked(after.total("k2_stream_restarts_total", stream=name), ",.0f", (1, 10)),
        )
        rows.append(row)
    title = "Pipeline: the last minute; latency from Kafka to the table"
    return _table(title, "stream", headings, rows, drop=("checkpoint lag", "restarts", "failed"))


def _quality(change: ScrapeDelta) -> FittingTable:
    headings = ("records/min", "dead letters", "duplicates/min", "newest record", "balance")
    late = change.per_minute("k2_late_records_total")
    rows = []
    for name in (exchange.name for exchange in EXCHANGES):
        judged = change.of("k2_records_processed_total", exchange=name, layer="silver")
        dead = change.of("k2_dlq_records_total", exchange=name)
        newest = change.after.most("k2_newest_record_timestamp_seconds", exchange=name)
        wrong = change.after.total("k2_balance_difference_records", of_exchange=name)
        row = (
            name,
            f"{change.per_minute('k2_records_processed_total', exchange=name, layer='bronze'):,.0f}",
            _marked(dead / judged, ".2%", (0.01, 0.05)) if judged else "–",
            f"{change.per_minute('k2_duplicate_records_total', exchange=name):,.0f}",
            _seconds(change.after.at - newest if newest else None, (300, 600)),
            _marked(wrong, ",.0f", (1, 1)),
        )
        rows.append(row)
    title = f"Data quality: the last minute; {late:,.0f} late trades/min in Gold"
    return _table(title, "exchange", headings, rows, drop=("duplicates/min", "newest record"))


def _machine(reading: Scrape) -> Text:
    free, size = (reading.most(f"k2_disk_{what}_bytes") for what in ("free", "size"))
    return Text.from_markup(
        f"CPU {_marked(reading.most('k2_host_cpu_usage_ratio'), '.0%', (0.8, 0.95))}"
        f" · memory {_marked(reading.most('k2_host_memory_usage_ratio'), '.0%', (0.9, 0.95))}"
        f" · load {reading.most('k2_host_load1'):.1f} of {reading.most('k2_host_cpus'):.0f} CPUs"
        f" · disk {_marked(1 - free / size if size else 0.0, '.0%', (0.8, 0.9))} full"
    )


def _table(
    title: str,
    first: str,
    headings: Iterable[str],
    rows: Sequence[Sequence[str]],
    drop: Sequence[str],
) -> FittingTable:
    justified = {first: "left", **dict.fromkeys(headings, "right")}
    return FittingTable(justified, rows, title, drop=drop, more="a wider window shows them")


def _seconds(seconds: float | None, limits: _Limits) -> str:
    return "–" if seconds is None else _marked(seconds, ".1f", limits, " s")


def _marked(value: float, form: str, limits: _Limits, unit: str = "") -> str:
    text = f"{value:{form}}{unit}"
    if value < limits[0]:
        return text
    return f"[{'red' if value >= limits[1] else 'yellow'}]{text}[/]"
