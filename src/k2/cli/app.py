"""The ``k2`` command: its commands, and how errors become one sentence and an exit code."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command

from k2.errors import K2Error

# command → module and function, imported when called: Spark and DuckDB take their time to load.
_COMMANDS = {
    "up": ("k2.cli.up", "up"),
    "down": ("k2.cli.down", "down"),
    "status": ("k2.cli.status", "status"),
    "doctor": ("k2.cli.doctor", "doctor"),
    "replay": ("k2.cli.replay", "replay_command"),
    "simulate": ("k2.cli.simulate", "simulate_command"),
    "drain": ("k2.cli.drain", "drain"),
    "tables": ("k2.cli.tables", "tables"),
    "show": ("k2.cli.show", "show"),
    "balance": ("k2.cli.balance", "balance_command"),
    "jars": ("k2.cli.jars", "jars"),
}
_SUMMARIES = {
    "up": "Start Kafka, the registry, a feed and the five streams on this machine.",
    "down": "Stop what `k2 up` started, and clean up after one that was killed.",
    "status": "Show what runs, and each stream's rows, lag and freshness.",
    "doctor": "Check this machine: Python, Java, jars, ports, disk.",
    "replay": "Send recorded exchange messages to Kafka and count what they were.",
    "simulate": "Send simulated trades to Kafka.",
    "drain": "Run every stream until Gold has all that is in Kafka.",
    "tables": "List the tables with rows, files and size.",
    "show": "Show the newest rows of a table.",
    "balance": "Prove that no record is missing or doubled, from Kafka to Gold.",
    "jars": "Print the jars that `spark-submit --jars` needs.",
}


class _LazyGroup(TyperGroup):
    """Loads a command's module when the command is called or asked for its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        if ctx.params.get("_listing"):
            return click.Command(cmd_name, short_help=_SUMMARIES[cmd_name])
        module, name = _COMMANDS[cmd_name]
        return command_of(cmd_name, getattr(importlib.import_module(module), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


def command_of(name: str, function: Callable[..., Any]) -> click.Command:
    """Make a click command of a function with typer's annotations."""
    app = typer.Typer(add_completion=False)
    app.command(name)(function)
    return get_command(app)


_app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help=(
        "K2, a trade lakehouse: trades from crypto exchanges through Kafka to Delta tables, with"
        " proof that nothing is missing. Settings are K2_* variables; K2_HOME (default .k2) holds"
        " everything. Exit codes: 0 done, 1 failed, 2 wrong use or setting, 3 something outside"
        " did not answer."
    ),
)


@_app.callback()
def _root() -> None:
    """Take no options of its own."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(get_command(_app), arguments))


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code. A K2 error is one sentence, never a traceback."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        result = command.main(arguments, prog_name="k2", standalone_mode=False)
    except K2Error as error:
        errors.print(f"[red]k2:[/red] {_plain(str(error))}")
        return error.exit_code
    except click.exceptions.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has left; nothing is wrong
        return 0
    return result if isinstance(result, int) else 0


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
