"""``k2 instruments``: what the names of an exchange's markets mean."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from k2.cli.app import group_of
from k2.cli.options import check_market
from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES, exchange_named
from k2.exchanges.instruments import COLUMNS, Fact, microseconds, shipped_instruments
from k2.exchanges.listings import read_listing
from k2.exchanges.market_index import MarketIndex, Meaning
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings

instruments = group_of("Look names of markets up, and load exchanges' lists of them.")

_EXCHANGE = Annotated[str, typer.Option(help="Whose names they are.")]
_MARKET = Annotated[str | None, typer.Option(help="Which of its markets, such as usdm.")]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@instruments.command("load")
def load_command(
    file: Annotated[
        Path, typer.Argument(help="exchangeInfo, AssetPairs, products, or K2's own CSV.")
    ],
    exchange: _EXCHANGE,
    market: _MARKET = None,
    since: Annotated[
        str | None, typer.Option(help="From when a changed meaning holds, UTC; without: from now.")
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Add an exchange's own list to what is known, for the next batches and replays.

    A name that meant something else keeps that meaning for trades from before `--since`. Stored
    rows stay as they are; `k2 rebuild silver --dry-run` shows what the list would change, and
    `k2 dlq replay` makes trades of dead letters whose names are known now.
    """
    chosen = exchange_named(exchange)
    check_market(chosen, market)
    facts = read_listing(_content(file), chosen.name, str(file), market)
    changed = InstrumentLists(Settings.load()).load(chosen.name, facts, _moment(since))
    counts = Counter(fact.market for fact in facts)
    if as_json:
        pairs = [{"before": _public(old), "now": _public(new)} for old, new in changed]
        print_json({"exchange": chosen.name, "loaded": dict(counts), "changed": pairs})
        return
    found = ", ".join(f"{count:,} of {name}" for name, count in sorted(counts.items()))
    typer.echo(f"Loaded {len(facts):,} names of {chosen.title}: {found}.")
    for old, new in changed:
        typer.echo(
            f"{new.market} {new.name} meant {old.base}-{old.quote}, now {new.base}-{new.quote}."
        )


@instruments.command("list")
def list_command(
    exchange: Annotated[str | None, typer.Option(help="Only this exchange's.")] = None,
    market: _MARKET = None,
    as_json: _JSON = False,
) -> None:
    """List the facts: those that K2 ships, and those that were loaded."""
    lists = InstrumentLists(Settings.load())
    chosen = [exchange_named(exchange)] if exchange else list(EXCHANGES)
    rows = []
    for source in chosen:
        shipped = set(shipped_instruments(source.name).rows())
        for fact in lists.current(source.name).rows():
            if market in (None, fact.market):
                rows.append((source.name, fact, "shipped" if fact in shipped else "loaded"))
    if as_json:
        print_json(
            [{"exchange": name, **_public(fact), "source": kind} for name, fact, kind in rows]
        )
        return
    headings = dict.fromkeys(("exchange", *COLUMNS, "source"), "left")
    print_table("Instruments", headings, [[name, *fact.row, kind] for name, fact, kind in rows])


@instruments.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="The exchange's own name, such as BTCUSDT.")],
    exchange: _EXCHANGE,
    market: _MARKET = None,
    as_json: _JSON = False,
) -> None:
    """Show what a name means in each of the exchange's markets, and since when."""
    shown = _meanings(exchange, [name], market)
    if as_json:
        print_json(shown)
    else:
        _print_meanings(shown)


@instruments.command("check")
def check_command(
    names: Annotated[list[str], typer.Argument(help="Names, or files with a name a line.")],
    exchange: _EXCHANGE,
    market: _MARKET = None,
    as_json: _JSON = False,
) -> None:
    """Tell which names mean no instrument, and why; exit with 1 when there are any."""
    wanted = [
        name
        for said in names
        for name in (Path(said).read_text("utf-8").split() if Path(said).is_file() else [said])
    ]
    shown = [
        meaning
        for meaning in _meanings(exchange, wanted, market or exchange_named(exchange).markets[0])
        if meaning["problem"]
    ]
    if as_json:
        print_json(shown)
    elif shown:
        _print_meanings(shown)
    else:
        typer.echo(f"All {len(wanted):,} names are known.")
    if shown:
        raise typer.Exit(1)


def _meanings(exchange: str, names: list[str], market: str | None) -> list[dict[str, Any]]:
    chosen = exchange_named(exchange)
    check_market(chosen, market)
    index = MarketIndex(chosen, InstrumentLists(Settings.load()).current(chosen.name))
    return [
        {"name": name, "market": kind, **_said(meaning)}
        for name in names
        for kind in ([market] if market else chosen.markets)
        for meaning in index.meanings(name, kind)
    ]


def _said(meaning: Meaning) -> dict[str, Any]:
    fields = ("symbol", "currency", "instrument_type", "asset_class", "problem")
    said = {field: getattr(meaning, field) for field in fields}
    return said | {"since": _time(meaning.since), "until": _time(meaning.until)}


def _time(moment: int | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment / 1e6, UTC).isoformat().replace("+00:00", "Z")


def _print_meanings(shown: list[dict[str, Any]]) -> None:
    headings = dict.fromkeys(shown[0], "left")
    print_table("Names", headings, [list(row.values()) for row in shown])


def _public(fact: Fact) -> dict[str, str]:
    return dict(zip(COLUMNS, fact.row, strict=True))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}.") from error


def _moment(since: str | None) -> str:
    if since is None:
        return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        microseconds(since)
    except ValueError as error:
        raise ConfigError(f"--since {since!r} is no time, such as 2026-09-25.") from error
    return since
