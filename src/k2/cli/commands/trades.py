"""``k2 trades``: a market's trades, on the terminal or as a file."""

from pathlib import Path
from typing import Annotated

import typer

from k2.cli.render.printing import print_json, print_table
from k2.cli.render.row_files import write_rows
from k2.errors import ConfigError
from k2.gold.table import GOLD_TRADES
from k2.lake.conditions import of_trades
from k2.lake.lake import Lake
from k2.settings import Settings
from k2.storage.newest_rows import newest_rows
from k2.storage.stored_tables import StoredTables

_SHOWN = {
    **dict.fromkeys(("timestamp", "exchange", "symbol", "side"), "left"),
    **dict.fromkeys(("price", "quantity"), "right"),
}
_ORDER = ("timestamp", "source_sequence", "offset")


def trades_command(
    symbol: Annotated[str, typer.Argument(help="Market, such as BTC-USDT.")],
    exchange: Annotated[str | None, typer.Option(help="One exchange's; all without it.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Time or day, UTC: 2026-07-07T09:30.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Likewise; trades before it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the newest.")] = 30,
    to_file: Annotated[
        Path | None,
        typer.Option(help="Write all of them to a .csv, .json, .jsonl or .parquet file instead."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all columns as JSON.")] = False,
) -> None:
    """Show the newest trades of a market, oldest first, or write all of a time to a file."""
    settings = Settings.load()
    if to_file is not None:
        with Lake(settings.home) as lake:
            count = write_rows(lake.trades(symbol, start, end, exchange=exchange), to_file)
        typer.echo(f"{count:,} trades in {to_file}.")
        return
    gold = StoredTables(settings.lake).opened(GOLD_TRADES.name)
    wanted = of_trades(symbol, start, end, exchange)
    rows = newest_rows(gold, _ORDER, limit, where=wanted).to_pylist()[::-1]
    if as_json:
        print_json(rows)
        return
    if not rows:
        where = f" on {exchange}" if exchange else ""
        when = " in that time" if start or end else ""
        raise ConfigError(f"Gold has no trades of {symbol.upper()}{where}{when}.")
    cells = [[row[name] for name in _SHOWN] for row in rows]
    print_table(f"Newest {len(rows)} trades", _SHOWN, cells)
