"""``k2 feed``: trades live from the exchanges' websockets."""

import asyncio
import gc
import json
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from k2.avro.encoding import Encoder, encoder
from k2.avro.schema_files import schema_text
from k2.cli.app import group_of
from k2.cli.options import seconds_of
from k2.cli.refill_jobs import RefillGapJobs
from k2.cli.render.printing import print_json, print_table
from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import FailedError, InUseError, PartlyDoneError, UnavailableError
from k2.exchanges import exchange_named
from k2.exchanges.live_services import LIVE_SERVICES
from k2.feeds.live.confirm import confirmed
from k2.feeds.live.feed_state import feed_place
from k2.feeds.live.plan import FeedPlan, FeedPlans
from k2.feeds.live.run import LiveRun
from k2.feeds.sessions.recorder import SessionRecorder
from k2.feeds.sessions.table import OPS_FEED_SESSIONS
from k2.feeds.topics import prepare_events_topic, prepare_topics
from k2.home.endpoints import Endpoints, find_endpoints
from k2.home.instrument_lists import InstrumentLists
from k2.local.services.monitoring import feed_target
from k2.observability.logs import configure_logs
from k2.observability.metrics_server import serve
from k2.settings import Settings
from k2.storage.scan import scan_table

feed = group_of("Take trades live from the exchanges.")


@feed.command("run")
def run_command(
    exchange: Annotated[
        str, typer.Option(help="Exchanges or services, separated by commas.")
    ] = "binance,kraken,coinbase",
    symbols: Annotated[
        str, typer.Option(help="Markets, such as BTC-USDT,ETH-USD or BTC-USDT-PERP.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with [services.<name>] in their place.")
    ] = None,
    duration: Annotated[str | None, typer.Option("--for", help="How long, such as 60s.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Send the exchanges' trades to Kafka until stopped.

    A hole in a market's numbering is filled from the exchange's REST history; what that no longer
    has stays recorded as a gap. A second process on the same markets does no harm: a rolling restart
    is to start the new one, and then to stop the old one.
    """
    settings = Settings.load()
    configure_logs(settings)
    planned = feed_plans(settings, exchange, symbols, config)
    endpoints = find_endpoints(settings)
    plans = confirmed(planned)
    with ExitStack() as held:
        place = held.enter_context(feed_place(settings))
        encoders = _encoders(plans, settings, endpoints)
        run = LiveRun(
            plans, encoders, endpoints.kafka, settings, place, jobs=RefillGapJobs(settings)
        )
        port = settings.feed_metrics_port
        server = serve(run.registry, settings.bind_host, port + place if port else 0)
        held.callback(server.close)
        held.enter_context(feed_target(settings, place, server.port))
        # What the start made stays. To look through it for garbage would hold up trades each time.
        gc.collect()
        gc.freeze()
        asyncio.run(run.run(seconds_of(duration) if duration else None))
    summary = run.summary()
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        Console().print(_table(summary))
    _raise_failures(run)


@feed.command("services")
def services_command() -> None:
    """List the live services, with the address of each."""
    table = Table("service", "exchange", "address")
    for service in LIVE_SERVICES.values():
        table.add_row(service.name, service.exchange, service.url)
    Console().print(table)


@feed.command("sessions")
def sessions_command(
    since: Annotated[str, typer.Option(help="How far back, such as 24h or 30m.")] = "24h",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Newest events shown.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what happened to live feeds, newest first: connections, gaps, what exchanges said.

    It is the table ops_feed_sessions, brought up to date where Kafka answers.
    """
    settings = Settings.load()
    with suppress(UnavailableError, InUseError):
        SessionRecorder(settings, find_endpoints(settings).kafka).record()
    begin = datetime.now(UTC) - timedelta(seconds=seconds_of(since))
    rows = scan_table(settings.lake, OPS_FEED_SESSIONS, where=[("at", ">=", begin)]).table()
    newest = rows.sort_by([("at", "descending"), ("offset", "descending")]).slice(0, limit)
    if as_json:
        print_json(newest.to_pylist())
        return
    names = ("at", "service", "event", "symbol", "first_id", "last_id", "reason")
    shown = [[_cell(row[name]) for name in names] for row in newest.to_pylist()]
    print_table("Live feeds", dict.fromkeys(names, "left"), shown)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)


def feed_plans(settings: Settings, exchange: str, symbols: str, config: Path | None) -> FeedPlans:
    """Return what a live feed shall listen to, as far as it can be known without the exchanges.

    Raises:
        ConfigError: something of it is unknown; names near ones.
    """
    lists = InstrumentLists(settings)
    if config is not None:
        return FeedPlans.of_file(config, lists)
    return FeedPlans.of_options(_parts(exchange), _parts(symbols), lists)


def _raise_failures(run: LiveRun) -> None:
    if not run.failures:
        return
    text = "; ".join(f"{name}: {reason}" for name, reason in run.failures.items())
    if len(run.failures) == len(run.feeds):
        raise FailedError(f"The live feed ended: {text}.")
    raise PartlyDoneError(f"Part of the live feed ended: {text}.")


def _encoders(
    plans: Sequence[FeedPlan], settings: Settings, endpoints: Endpoints
) -> dict[str, Encoder]:
    registry = SchemaRegistry(endpoints.registry)
    encoders: dict[str, Encoder] = {}
    for name in {plan.service.exchange for plan in plans}:
        source = exchange_named(name)
        prepare_topics(endpoints, source, settings.topic_partitions)
        ids = registry.register(source)
        encoders[name] = encoder(schema_text(source.reader_schema), ids[source.reader_schema])
    prepare_events_topic(endpoints)
    return encoders


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _table(summary: dict[str, dict[str, object]]) -> Table:
    table = Table("service", title="Live feed")
    for heading in ("trades", "other", "rejected", "disconnects", "missing"):
        table.add_column(heading, justify="right")
    for name, counts in summary.items():
        keys = ("trades", "other_messages", "rejected_messages", "reconnects", "missing")
        table.add_row(name, *(f"{counts[key]:,}" for key in keys))
    return table
