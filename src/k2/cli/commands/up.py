"""``k2 up``: the whole of K2 on this machine."""

import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from k2.cli.local_run import READY, Run, supervise
from k2.cli.options import rate_of, seconds_of
from k2.errors import ConfigError, FailedError
from k2.home.paths import prepare_home, require_free_home
from k2.local.monitoring import addresses
from k2.settings import Settings

_START_PATIENCE = 300.0
_RATE = "500/s"


class Feed(StrEnum):
    """What fills Kafka."""

    SIMULATE = "simulate"
    LIVE = "live"
    NONE = "none"


def up(
    feed: Annotated[
        Feed | None,
        typer.Option(
            help="What fills Kafka; by default simulate, but none with --no-streams or K2_KAFKA. Options"
            " that only one feed has ask for it."
        ),
    ] = None,
    symbols: Annotated[
        str, typer.Option(help="Markets of a live feed, such as BTC-USDT,ETH-USD.")
    ] = "",
    exchange: Annotated[
        str, typer.Option(help="Exchanges of a live feed, separated by commas.")
    ] = "binance,kraken,coinbase",
    config: Annotated[
        Path | None, typer.Option(help="A live feed's TOML file, in place of --symbols.")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(help=f"Records a second of the simulator; by default {_RATE}."),
    ] = None,
    aggregates: Annotated[
        float, typer.Option(min=0, max=1, help="Share of aggregates, as of `k2 simulate`.")
    ] = 0.0,
    contracts: Annotated[
        float, typer.Option(min=0, max=1, help="Share of contracts, as of `k2 simulate`.")
    ] = 0.0,
    duration: Annotated[
        str | None,
        typer.Option("--for", help="Stop by itself after this long of the feed, such as 60s."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once all is up; `k2 down` stops it.")
    ] = False,
    streams: Annotated[
        bool, typer.Option(help="Run the streams; without, only Kafka and the registry.")
    ] = True,
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="Run Prometheus and Alertmanager too.")
    ] = False,
    quiet: Annotated[
        bool | None,
        typer.Option(
            "--quiet/--no-quiet",
            help="Print the summary and errors alone; by default where there is no terminal.",
        ),
    ] = None,
) -> None:
    """Start Kafka, the registry, a feed and the streams, and show what they do.

    Ctrl-C ends it cleanly: nothing is left running and nothing is lost. The same command goes on
    where it ended. Everything is in K2_HOME. What K2_KAFKA or K2_REGISTRY names is used in place of
    a local one.
    """
    settings = Settings.load()
    wanted = rate or _RATE
    rate_of(wanted)
    seconds = seconds_of(duration) if duration else None
    feed = feed or _feed_meant(
        settings,
        streams,
        is_live=bool(symbols or config),
        is_simulated=bool(rate or aggregates or contracts),
    )
    shares = ("--aggregates", str(aggregates), "--contracts", str(contracts))
    simulation = ("--rate", wanted, *shares)
    command = _feed_command(settings, feed, simulation, exchange, symbols, config)
    limit = ("--for", duration) if duration else ()
    if detach:
        options = ["--feed", feed, *simulation, *limit]
        options += command[2:] if feed is Feed.LIVE else []
        options += ["--streams" if streams else "--no-streams"]
        options += ["--monitoring"] if monitoring else []
        options += ["--no-quiet"]  # for k2.out
        _detach(settings, options)
        for line in addresses(settings):
            typer.echo(line)
        return
    run = Run((*command, *limit) if command else (), seconds, streams, monitoring)
    if quiet is None:
        quiet = not (sys.stdout.isatty() or sys.stderr.isatty())
    if not supervise(settings, run, Console(stderr=not sys.stdout.isatty(), quiet=quiet)):
        raise typer.Exit(1)


def _feed_command(
    settings: Settings,
    feed: Feed,
    simulation: tuple[str, ...],
    exchange: str,
    symbols: str,
    config: Path | None,
) -> tuple[str, ...]:
    """Return what starts the feed, checked as far as it can be here."""
    if feed is Feed.SIMULATE:
        return ("simulate", *simulation)
    if feed is Feed.NONE:
        return ()
    from k2.cli.commands.feed import feed_plans

    feed_plans(settings, exchange, symbols, config)
    if config is not None:
        return ("feed", "run", "--config", str(config.absolute()))
    return ("feed", "run", "--exchange", exchange, "--symbols", symbols)


def _feed_meant(settings: Settings, streams: bool, is_live: bool, is_simulated: bool) -> Feed:
    """Return the feed whose options were given; without any, simulated trades are for a Kafka of our own, and
    where streams take them.

    Raises:
        ConfigError: simulated trades would go to a Kafka of others, and nobody said that they should.
    """
    if is_live:
        return Feed.LIVE
    if is_simulated and settings.kafka:
        raise ConfigError(
            "--rate, --aggregates and --contracts are of simulated trades, and K2_KAFKA names a Kafka"
            " that K2 did not start; add `--feed simulate` to send them there."
        )
    return Feed.SIMULATE if is_simulated or (streams and not settings.kafka) else Feed.NONE


def _detach(settings: Settings, options: list[str]) -> None:
    """Start the same command in a session of its own, and wait until it says that it is ready."""
    prepare_home(settings)  # what is wrong with it would find no room in a log
    require_free_home(settings)
    command = [sys.executable, "-m", "k2", "up", *options]
    # What it prints for people; its log has lines of JSON alone.
    out, log = settings.logs / "k2.out", settings.logs / "k2.log"
    ready = settings.run / READY
    with out.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 — our own interpreter and arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=settings.environment(),
        )
    began = time.monotonic()
    with Console(stderr=True).status("Starting Kafka, the registry and the streams …"):
        while not _is_ready(ready, child.pid):
            if (code := child.poll()) is not None:
                _say_why(out, code)
            if time.monotonic() - began > _START_PATIENCE:
                child.terminate()
                raise FailedError(f"K2 was not up after {_START_PATIENCE:.0f} s; see {log}.")
            time.sleep(0.1)
    typer.echo(f"K2 is up (process {child.pid}, log {log}). Stop it with `k2 down`.")


def _is_ready(note: Path, pid: int) -> bool:
    try:
        return note.read_text("ascii").strip() == str(pid)
    except FileNotFoundError:
        return False


def _say_why(out: Path, code: int) -> None:
    lines = out.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    typer.echo("\n".join(lines[-5:]) or f"k2: It ended with {code}; see {out}.", err=True)
    raise typer.Exit(code or 1)
