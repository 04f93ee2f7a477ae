"""``k2 simulate``: the simulated feed as a process of its own; `k2 up` starts it.

Also runs as ``python -m k2.cli.commands.simulate``.
"""

import gc
import json
import signal
import sys
from pathlib import Path
from threading import Event
from time import time_ns
from typing import Annotated

import typer

from k2.avro.encoding import Encoder, encoder
from k2.avro.schema_files import schema_text
from k2.cli.options import rate_of, seconds_of
from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import ConfigError, K2Error
from k2.exchanges import EXCHANGES, exchange_named
from k2.feeds.producer import FeedProducer
from k2.feeds.simulator.feed_files import read_progress
from k2.feeds.simulator.sample import write_sample
from k2.feeds.simulator.simulation import SimulatedFeed, Simulation
from k2.feeds.simulator.simulator import FeedFiles, Schedule, Simulator
from k2.feeds.topics import prepare_topics
from k2.home.endpoints import find_endpoints
from k2.observability.logs import configure_logs
from k2.settings import Settings

_PRELOAD_RATE = 5_000.0  # trades a second of event time, when they are sent all at once
_PRELOAD_SECONDS = 240.0  # longer, and the first ones would count as late
_SAMPLE_MESSAGES = 1_000
_BLOCK_SECONDS = 0.25
_BLOCK_SIZES = (16, 2_048)


def simulate_command(
    rate: Annotated[str, typer.Option(help="Records a second, such as 2000/s, or max.")] = "500/s",
    duration: Annotated[str | None, typer.Option("--for", help="How long, such as 60s.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="How many records.")] = None,
    duplicates: Annotated[float, typer.Option(help="Share of records sent before.")] = 0.02,
    old: Annotated[float, typer.Option(help="Share of the duplicates over 1 h old.")] = 0.3,
    late: Annotated[float, typer.Option(help="Share of trades over 5 min late.")] = 0.01,
    bad: Annotated[float, typer.Option(help="Share of bad records, of every kind.")] = 0.005,
    kraken: Annotated[float, typer.Option(help="Share of trades on Kraken.")] = 0.2,
    coinbase: Annotated[float, typer.Option(help="Share of trades on Coinbase.")] = 0.15,
    aggregates: Annotated[
        float, typer.Option(help="Share of Binance's spot orders told of by an aggregate too.")
    ] = 0.0,
    contracts: Annotated[
        float, typer.Option(help="Share of Binance's trades that are of a perpetual contract.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same records.")] = 7,
    start: Annotated[
        int | None, typer.Option(help="First event time, µs since 1970; default: now.")
    ] = None,
    span: Annotated[
        str | None, typer.Option(help="Time that --rate max covers, the broker's too, such as 3h.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="Write what is sent to this file.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            help="Write --count messages of one --exchange, in its own format and none bad, to a"
            " .ndjson, .gz or .zst file; nothing is sent."
        ),
    ] = None,
    exchange: Annotated[str | None, typer.Option(help="Whose messages, with --to.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Publish simulated trades of every exchange until stopped, or as many as asked for."""
    if to is not None:
        count = count or _SAMPLE_MESSAGES
    schedule = Schedule(rate_of(rate), count, seconds_of(duration) if duration else None)
    step_us = _step_us(schedule, span)
    start_us = time_ns() // 1000 if start is None else start
    if start is None and schedule.rate is None:
        start_us -= int(step_us * (count or 0))
    simulation = Simulation(
        *(start_us, step_us, seed, duplicates, old, late, bad, kraken, coinbase),
        block_size=_block_size(schedule),
        broker_times=span is not None,
        aggregates=aggregates,
        contracts=contracts,
    )
    if to is not None:
        if exchange is None:
            raise ConfigError("--to wants --exchange: whose messages?")
        of = exchange_named(exchange)
        messages = write_sample(simulation, of, count or 0, to)
        typer.echo(f"{messages:,} messages of {of.title} in {to}.")
        return
    settings = Settings.load()
    configure_logs(settings)
    tally = _run(simulation, schedule, settings, manifest)
    typer.echo(json.dumps(tally) if as_json else _sentence(tally))


def _run(
    simulation: Simulation, schedule: Schedule, settings: Settings, manifest: Path | None
) -> dict[str, dict[str, int]]:
    endpoints = find_endpoints(settings)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    registry = SchemaRegistry(endpoints.registry)
    encoders: dict[str, Encoder] = {}
    for exchange in EXCHANGES:
        prepare_topics(endpoints, exchange, settings.topic_partitions)
        for file, schema_id in registry.register(exchange).items():
            encoders[file] = encoder(schema_text(file), schema_id)
    files = FeedFiles(settings.run / "simulator.json", settings.run / "feed.json", manifest)
    # Records make no cycles; looking for some among the remembered ones costs a tenth of the time.
    gc.set_threshold(100_000, 50, 1_000)
    feed = SimulatedFeed(simulation, encoders, read_progress(settings.run / "simulator.json"))
    with FeedProducer(endpoints.kafka) as producer:
        return Simulator(feed, producer, schedule, files, stop=stop).run().as_json()


def _step_us(schedule: Schedule, span: str | None) -> float:
    if schedule.rate is not None:
        if span is not None:
            raise ConfigError("--span goes with --rate max; a rate gives the event times itself.")
        return 1e6 / schedule.rate
    if schedule.count is None:
        raise ConfigError("--rate max needs --count: how many records?")
    default = min(schedule.count / _PRELOAD_RATE, _PRELOAD_SECONDS)
    return max((seconds_of(span) if span else default) * 1e6 / schedule.count, 1.0)


def _block_size(schedule: Schedule) -> int:
    # Made ahead, so small at low rates: after a crash the rest of a block is a gap in the ids.
    smallest, largest = _BLOCK_SIZES
    if schedule.rate is None:
        return largest
    return min(max(int(schedule.rate * _BLOCK_SECONDS), smallest), largest)


def _sentence(tally: dict[str, dict[str, int]]) -> str:
    parts = [
        f"{name}: {counts['records']:,} records, {counts['distinct_trades']:,} trades"
        f" ({counts['late']:,} late), {counts['duplicates']:,} duplicates, {counts['bad']:,} bad"
        for name, counts in tally.items()
    ]
    return "Sent " + "; ".join(parts) + "." if parts else "Sent nothing."


def main() -> int:
    """Run the command by itself, errors as one sentence and an exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(simulate_command)
    try:
        app(standalone_mode=True)
    except K2Error as error:
        typer.echo(f"k2 simulate: {error}", err=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
