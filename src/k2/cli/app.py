"""The ``k2`` command: its commands, and how errors become one sentence and an exit code."""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from k2.cli.unexpected import describe_unexpected, keep_traces_of_threads
from k2.environment import inherited, shield
from k2.errors import FailedError, K2Error, did_you_mean, first_line, is_full_disk
from k2.malloc import limit_retention
from k2.observability.redaction import redacted
from k2.setting_origins import unknown_settings

# command → module and function, imported when called: Spark and DuckDB take their time to load.
_COMMANDS = {
    "up": ("k2.cli.commands.up", "up"),
    "down": ("k2.cli.commands.down", "down"),
    "status": ("k2.cli.commands.status", "status"),
    "doctor": ("k2.cli.commands.doctor", "doctor"),
    "replay": ("k2.cli.commands.replay", "replay_command"),
    "feed": ("k2.cli.commands.feed", "feed"),
    "simulate": ("k2.cli.commands.simulate", "simulate_command"),
    "drain": ("k2.cli.commands.drain", "drain"),
    "tables": ("k2.cli.commands.tables", "tables"),
    "show": ("k2.cli.commands.show", "show"),
    "trades": ("k2.cli.commands.trades", "trades_command"),
    "bars": ("k2.cli.commands.bars", "bars_command"),
    "query": ("k2.cli.commands.query", "query_command"),
    "export": ("k2.cli.commands.query", "export_command"),
    "quality": ("k2.cli.commands.quality", "quality"),
    "coverage": ("k2.cli.commands.coverage", "coverage"),
    "drill": ("k2.cli.commands.drill", "drill_command"),
    "balance": ("k2.cli.commands.balance", "balance_command"),
    "dlq": ("k2.cli.commands.dlq", "dlq"),
    "rebuild": ("k2.cli.commands.rebuild", "rebuild"),
    "upgrade": ("k2.cli.commands.upgrade", "upgrade_command"),
    "maintain": ("k2.cli.commands.maintain", "maintain_command"),
    "exchange": ("k2.cli.commands.exchange", "exchange"),
    "instruments": ("k2.cli.commands.instruments", "instruments"),
    "jobs": ("k2.cli.commands.jobs", "jobs"),
    "serve": ("k2.cli.commands.serve", "serve"),
    "config": ("k2.cli.commands.config", "config"),
    "logs": ("k2.cli.commands.logs", "logs"),
    "alerts": ("k2.cli.commands.alerts", "alerts"),
    "open": ("k2.cli.commands.open", "open_command"),
    "jars": ("k2.cli.commands.jars", "jars"),
    "scripts": ("k2.cli.commands.scripts", "scripts"),
}
_SUMMARIES = {
    "up": "Start Kafka, the registry, a feed and the streams on this machine.",
    "down": "Stop what `k2 up` started, and clean up after one that was killed.",
    "status": "Show what runs, and each stream's rows, lag and freshness.",
    "doctor": "Check this machine: Python, Java, jars, ports, disk.",
    "replay": "Send recorded exchange messages to Kafka and count what they were.",
    "feed": "Take trades live from the exchanges.",
    "simulate": "Send simulated trades to Kafka.",
    "drain": "Run every stream until Gold has all that is in Kafka.",
    "tables": "List the tables with rows, files and size.",
    "show": "Show the newest rows of a table.",
    "trades": "Show a market's trades, or write them to a file.",
    "bars": "Show a market's bars and a small chart.",
    "query": "Ask the tables in SQL.",
    "export": "Write a table to a CSV, JSON or Parquet file.",
    "quality": "Run quality checks, and show what they found.",
    "coverage": "Show what is missing, by exchange, market and hour.",
    "drill": "Plant defects in a scratch home: does a check report each?",
    "balance": "Prove that no record is missing or doubled, from Kafka to Gold.",
    "dlq": "List, show, export and replay dead letters.",
    "rebuild": "Decode Bronze anew and compare with what is stored.",
    "upgrade": "Rebuild tables of an older version from Bronze and swap them in.",
    "maintain": "Compact closed partitions and delete files that nothing needs.",
    "exchange": "Check an exchange's definition against sample messages.",
    "instruments": "Look names of markets up, and load exchanges' lists of them.",
    "jobs": "Submit durable jobs, watch them, and pause, resume, cancel or retry them.",
    "serve": "Run the jobs of this home, and its HTTP API.",
    "config": "Show every setting with its origin, or check them.",
    "logs": "Show what the streams, the feed and the services wrote down.",
    "alerts": "Show which alerts fire, each with its runbook.",
    "open": "Open the UI, the dashboards, the API or the documentation.",
    "jars": "Print the jars that `spark-submit --jars` needs.",
    "scripts": "Print the path of a script for `spark-submit`.",
}


class _LazyGroup(TyperGroup):
    """Loads a command's module when the command is called or asked for its help."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(_COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        found = getattr(importlib.import_module(module), name)
        return get_command(found if isinstance(found, typer.Typer) else app_of(cmd_name, found))

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            guess = did_you_mean(args[0], _COMMANDS)
            ctx.fail(f"No such command '{args[0]}'.{guess}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> Any:  # type: ignore[override]
        """Complete from the summaries, so that no command is loaded for a press of the tab key."""
        known = [TyperCommand(name, help=said) for name, said in _SUMMARIES.items()]
        light = TyperGroup(name="k2", commands=known, params=self.params)
        return light.shell_complete(typer.Context(light, info_name="k2"), incomplete)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


def group_of(summary: str) -> typer.Typer:
    """Make a typer app for a command that has commands of its own."""
    return typer.Typer(help=summary, no_args_is_help=True, **_APP_OPTIONS)


def app_of(name: str, function: Callable[..., Any]) -> typer.Typer:
    """Make a typer app of one function."""
    app = typer.Typer(**_APP_OPTIONS)
    app.command(name)(function)
    return app


_APP_OPTIONS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["--help", "-h"]},
}
_app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    help=(
        "K2, a trade lakehouse: trades from crypto exchanges through Kafka to Delta tables, with"
        " proof that nothing is missing. Settings are K2_* variables, or lines of k2.toml; K2_HOME (default .k2) holds"
        " everything. Exit codes: 0 done, 1 failed, 2 wrong use or setting, 3 something outside"
        " did not answer, 4 partly done."
    ),
    **(_APP_OPTIONS | {"add_completion": True}),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"k2 {metadata.version('k2')}")
        raise typer.Exit


@_app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take no other option of its own."""


def main() -> None:
    """Run the command line and exit."""
    shield(inherited())
    limit_retention()
    keep_traces_of_threads()
    checks_them = sys.argv[1:2] == ["config"]
    for name, guess in ({} if checks_them else unknown_settings()).items():
        _say(f"{name} is no setting of K2 and changes nothing.{guess}")
    sys.exit(run(_app, sys.argv[1:], "k2"))


def run(app: typer.Typer, arguments: Sequence[str], program: str) -> int:
    """Run a command; return its exit code. An error is one sentence, never a traceback."""
    try:
        app(list(arguments), prog_name=program)
    except K2Error as error:
        _say(str(error))
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has left; nothing is wrong
    except BaseException as error:  # delta-rs panics outside Exception
        if not is_full_disk(error):
            _say(describe_unexpected(error))
            return FailedError.exit_code
        _say(f"The disk is full; make room or set K2_HOME elsewhere. {first_line(str(error), 300)}")
        return FailedError.exit_code
    return 0


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        "[red]k2:[/red]", escape(redacted(text))  # an address may hold a password
    )
