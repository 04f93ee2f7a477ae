"""Each documented command with the settings that a user has: nothing is switched off or made small.

Class archives, default triggers, memory and ports, the jobs' service, no ``K2_HOME``: the home is ``.k2``
where one stands. A port is another than the default only where somebody on this machine has that one.
"""

import json
import os
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import psutil
import pytest
from typer.main import get_command

from k2.cli.app import _app
from k2.errors import UnavailableError
from k2.home.ports import is_free
from k2.jvm.jars import Group, resolve
from k2.settings import Settings
from k2.topology import port_of, stream_names
from tests.support.binance_messages import spot_trade
from tests.support.exchange_server import server_of_trades
from tests.support.home import K2Home, wait_until
from tests.support.jar_cache import archived, cache_without_archives

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

JARS = (Group.SPARK, Group.KAFKA, Group.REGISTRY)
HAS_PROMETHEUS = shutil.which("prometheus") and shutil.which("prometheus-alertmanager")

UP = "up --detach --monitoring" if HAS_PROMETHEUS else "up --detach"
DOWN = "down"
UP_WITHOUT_STREAMS = "up --detach --no-streams"
SERVE = "serve"

BEFORE_THE_FIRST_RUN = (
    "config",
    "config check",
    "doctor",
    "scripts gold",
    "jars",
    "tables",
    "feed services",
    "instruments load exchangeInfo.json --exchange binance",
    "exchange validate trades.jsonl --exchange binance",
    "instruments show NEWUSDT --exchange binance",
    "instruments check names.txt --exchange binance",
    "instruments list --exchange binance --market usdm",
    "quality list",
    "jobs kinds",
    "upgrade --dry-run",
)
# Where it is not 0 alone: a check ends with 1 if it is the first to see the planted hole, of which the scheduled
# one may have told already.
EXITS = {"quality run coverage": (0, 1)}
# What stands in braces is found out by another command.
BESIDE_A_RUN = (
    "status",
    "status --check",
    "tables",
    "show gold_trades",
    "show dlq_binance_trades --json --limit 1",
    "trades BTC-USDT --exchange binance",
    "trades BTC-USDT --exchange binance --to-file trades.csv",
    "bars BTC-USDT --timeframe 1m",
    "bars BTC-USD --exchange kraken --pad",
    "query 'select symbol, count(*), sum(trade_value_usd) from gold group by all'",
    "export gold_ohlcv --to bars.parquet",
    "balance",
    "quality run balance",
    "quality run freshness",
    "quality history --since 24h",
    "quality show {check}",
    "dlq list",
    "dlq show {letter}",
    "dlq export --exchange binance --to letters.jsonl",
    "doctor --deep",
    "logs --lines 20",
    "open ui --print",
    "feed sessions",
    "maintain --dry-run",
    "replay trades.jsonl --exchange binance",
    "feed run --config feeds.toml --for 3s",
    "simulate --count 200 --rate max",
    "drain",
    "quality run coverage",
    "coverage --since 24h",
    "coverage accept binance NEW-USDT --reason 'they are lost, ticket 4711' --ids 21-30",
    *(["alerts"] if HAS_PROMETHEUS else []),
)
JOBS = (
    "jobs submit simulate --param records=100000 --param rate=50 --detach",
    "jobs list",
    "jobs show {job}",
    "jobs pause {job}",
    "jobs resume {job}",
    "jobs logs {job}",
    "jobs cancel {job}",
)
WATCHED = "jobs watch {job}"
JOBS_AGAIN = ("jobs retry {job}", "jobs cancel {job}", "jobs resend")
WITHOUT_STREAMS = (
    "simulate --count 500 --rate max",
    "drain",
    "dlq replay --exchange binance",
    "rebuild silver --exchange binance --dry-run",
    "bars --rebuild",
    "maintain",
    "balance",
    "status",
    "drill --rounds 1",
)


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that ``k2 --help`` leads to, by its words."""
    command = command or get_command(_app)
    context = click.Context(command)
    if not hasattr(command, "list_commands"):
        yield " ".join(path)
        return
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


def test_every_command_is_tried_with_the_settings_of_a_user() -> None:
    lines = (UP, DOWN, UP_WITHOUT_STREAMS, SERVE, WATCHED)
    needs_prometheus = () if HAS_PROMETHEUS else ("alerts",)
    tried = (
        *lines,
        *needs_prometheus,
        *BEFORE_THE_FIRST_RUN,
        *BESIDE_A_RUN,
        *JOBS,
        *JOBS_AGAIN,
        *WITHOUT_STREAMS,
    )

    missing = {
        name for name in commands() if not any(f"{t} ".startswith(f"{name} ") for t in tried)
    }

    assert missing == set()


class Laptop(K2Home):
    """A folder in which somebody types commands, who has set nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / ".k2")
        given = {name: value for name, value in os.environ.items() if not name.startswith("K2_")}
        kept = {name: os.environ[name] for name in ("K2_OFFLINE",) if name in os.environ}
        with suppress(UnavailableError):  # without it Kafka's own metrics are missing, no more
            resolve(Group.JMX, Settings.load().jar_cache)
        cache = cache_without_archives(folder / "cache", JARS)
        self.environment = {**given, **kept, **ports_that_are_taken(), "K2_JAR_CACHE": str(cache)}
        self.cache = cache

    def type(self, line: str) -> str:
        """Run a line as it is typed; it ends well, and says something."""
        said = self.run(*shlex.split(line.format_map(self)), code=EXITS.get(line, 0))
        assert said.strip(), f"k2 {line} said nothing"
        assert "terminate called" not in said
        return said

    def __getitem__(self, what: str) -> str:
        """Find out what a line names in braces."""
        if what == "job":
            jobs = self.json("jobs", "list")
            return str(next(job["id"] for job in jobs if job["kind"] == "simulate"))
        if what == "letter":
            return str(self.json("dlq", "list")[0]["sample"])
        return str(self.json("quality", "history")[0]["run_id"])


def ports_that_are_taken() -> dict[str, str]:
    """Settings of those default ports that somebody on this machine listens on."""
    fields = Settings.model_fields
    wanted = {name: [field.default] for name, field in fields.items() if name.endswith("_port")}
    wanted["metrics_port"] = [port_of(name, wanted["metrics_port"][0]) for name in stream_names()]
    taken = [name for name, ports in wanted.items() if not all(map(is_free, filter(None, ports)))]
    return {f"K2_{name.upper()}": "0" for name in taken}


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    folder = tmp_path_factory.mktemp("a laptop")
    laptop = Laptop(folder)
    hour_ago = int((time.time() - 3_600) * 1_000)
    numbers = [*range(1, 21), *range(31, 51)]  # ten are missing
    trades = [spot_trade(n, s="NEWUSDT", T=hour_ago, E=hour_ago + 1) for n in numbers]
    (folder / "trades.jsonl").write_text("\n".join(map(json.dumps, trades)))
    listed = {"symbol": "NEWUSDT", "baseAsset": "NEW", "quoteAsset": "USDT"}
    (folder / "exchangeInfo.json").write_text(json.dumps({"symbols": [listed]}))
    (folder / "names.txt").write_text("BTCUSDT\nNEWUSDT\n")
    with server_of_trades("binance-spot", ("ACHUSDT",), rate=20) as server:
        market = f'[services.binance-spot]\nmarkets = ["ACHUSDT"]\nurl = "{server.url}"\n'
        (folder / "feeds.toml").write_text(f'{market}history_url = "{server.history_url}"\n')
        yield laptop
    laptop.run_raw("down")
    laptop.kill_all()


@pytest.fixture(scope="module")
def run(laptop: Laptop) -> Laptop:
    """The first run, with trades in every table."""
    laptop.type(UP)
    wait_until(lambda: has_all_kinds(laptop), why=laptop_log(laptop))
    return laptop


@pytest.fixture(scope="module")
def services(laptop: Laptop) -> Iterator[Laptop]:
    """Kafka and the registry alone, after a first run that has ended."""
    laptop.run_raw(DOWN)
    laptop.type(UP_WITHOUT_STREAMS)
    yield laptop
    laptop.type(DOWN)
    laptop.require_nothing_left()


def laptop_log(laptop: Laptop) -> Any:
    return lambda: (laptop.folder / "logs" / "k2.log").read_text()[-3_000:]


def has_all_kinds(laptop: Laptop) -> bool:
    rows = {table["table"]: table["rows"] for table in laptop.json("tables")}
    return all(rows.get(n, 0) for n in ("gold_trades", "gold_ohlcv", "dlq_binance_trades"))


@pytest.mark.parametrize("line", BEFORE_THE_FIRST_RUN)
def test_before_the_first_run(laptop: Laptop, line: str) -> None:
    assert laptop.type(line)


@pytest.mark.slow
@pytest.mark.parametrize("line", BESIDE_A_RUN)
def test_beside_a_run(run: Laptop, line: str) -> None:
    assert run.type(line)


@pytest.mark.slow
def test_a_job_is_begun_steered_and_watched(run: Laptop) -> None:
    for line in JOBS:
        run.type(line)
    # It ends at its next step, and who watches it learns that by the exit code.
    watched = run.run_raw(*WATCHED.format_map(run).split())
    for line in JOBS_AGAIN:
        run.type(line)

    assert watched.returncode == 1, watched.stdout + watched.stderr
    assert "cancelled" in watched.stdout + watched.stderr


@pytest.mark.slow
def test_the_run_serves_what_its_settings_say(run: Laptop) -> None:
    services = run.json("status")["services"]

    wanted = {"kafka", "registry"} | ({"prometheus", "alertmanager"} if HAS_PROMETHEUS else set())
    assert {name: service["state"] for name, service in services.items()} == dict.fromkeys(
        wanted, "up"
    )


@pytest.mark.slow
def test_it_ends_within_seconds_and_keeps_what_java_has_loaded(run: Laptop) -> None:
    run.type(DOWN)

    run.require_nothing_left()
    # Kafka's JVM archives nothing beside an agent.
    assert archived(run.cache) >= {"registry", "spark"}
    assert run.run("status", "--check", code=1)


@pytest.mark.slow
@pytest.mark.parametrize("line", WITHOUT_STREAMS)
def test_without_streams(services: Laptop, line: str) -> None:
    assert services.type(line)


@pytest.mark.slow
def test_jobs_are_served_without_a_run(laptop: Laptop) -> None:
    laptop.run_raw(DOWN)
    serving = laptop.start(SERVE)
    note = laptop.folder / "run" / "api.json"
    wait_until(note.exists, 60, laptop.output.read_text)

    serving.send_signal(signal.SIGINT)

    assert serving.wait(60) in (0, 130), laptop.output.read_text()
    assert "Traceback" not in laptop.output.read_text()
    assert not psutil.Process().children()
