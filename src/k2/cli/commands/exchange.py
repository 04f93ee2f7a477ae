"""``k2 exchange``: does a definition make trades of an exchange's messages?"""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from k2.cli.app import group_of
from k2.cli.render.printing import print_json, print_table
from k2.exchanges import Exchange, exchange_named
from k2.feeds.recorded_exchange import require_exchange
from k2.feeds.recordings import Recording
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.validation import Validation, validate_lines

_BRIEF = ("timestamp", "symbol", "side", "price", "quantity", "trade_id")

exchange = group_of("Check the definitions of exchanges.")


@exchange.callback()
def _group() -> None:
    """Check the definitions of exchanges."""


@exchange.command("validate")
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Sample messages, one a line.", show_default=False)
    ],
    name: Annotated[str, typer.Option("--exchange", help="Whose messages they are.")],
    limit: Annotated[int, typer.Option(min=0, max=1_000, help="How many trades to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run sample messages through an exchange's parser, schema, mapping and rules.

    Needs no Kafka. Exits with 1 when a trade became a dead letter, or there was none.
    """
    definition = exchange_named(name)
    for file in files:
        require_exchange(file, definition)
    lines = chain.from_iterable([Recording(path) for path in files])
    instruments = InstrumentLists(Settings.load()).current(name)
    found = validate_lines(definition, lines, limit, instruments)
    _print(definition, found, as_json)
    if not found.holds:
        raise typer.Exit(1)


def _print(definition: Exchange, found: Validation, as_json: bool) -> None:
    counts = {
        "messages": found.messages,
        "other messages": found.other,
        "rejected": sum(found.rejected.values()),
        "trades": found.trades,
        "repeated trades": found.repeated,
        "dead letters": sum(found.dead_letters.values()),
    }
    if as_json:
        reasons = {"rejected": dict(found.rejected), "dead_letters": dict(found.dead_letters)}
        fields = ("message_id", *_BRIEF, "currency", "source_sequence", "vendor_data")
        shown = [{name: row[name] for name in fields} for row in found.first_trades]
        public = {name.replace(" ", "_"): count for name, count in counts.items()}
        print_json({"holds": found.holds, **public, "reasons": reasons, "first_trades": shown})
        return
    print_table(
        f"{definition.title}: sample messages",
        dict.fromkeys(counts, "right"),
        [list(counts.values())],
    )
    for what, reasons_of in (("rejected", found.rejected), ("dead letter", found.dead_letters)):
        for reason, count in reasons_of.most_common():
            typer.echo(f"{what}: {count:,} × {reason}")
    if found.first_trades:
        rows = [[row[name] for name in _BRIEF] for row in found.first_trades]
        print_table("First trades", dict.fromkeys(_BRIEF, "left"), rows)
