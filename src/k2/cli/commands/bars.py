"""``k2 bars``: a market's bars as a table and a small chart, and their rebuild from Gold."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from k2.bars.table import GOLD_OHLCV, TIMEFRAMES
from k2.cli.render.candle_plot import candle_plot
from k2.cli.render.candles import candles
from k2.cli.render.plot_file import check_plot_file, save_plot
from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError, did_you_mean
from k2.lake.conditions import between
from k2.settings import Settings
from k2.storage.delta import open_table
from k2.storage.file_pruning import Condition
from k2.storage.scan import scan

Bar = dict[str, Any]

_NUMBERS = ("open", "high", "low", "close", "volume", "trade_count")
# Fields and their headings, short enough for eighty columns; --json has all.
_SHOWN = {
    "bar_start": "start",
    **{name: name.replace("trade_count", "trades") for name in _NUMBERS},
    "is_final": "final",
    "revision": "rev.",
}


class Timeframe(StrEnum):
    """How long a bar is."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HALF_HOUR = "30m"
    HOUR = "1h"
    DAY = "1d"


def bars_command(
    symbol: Annotated[
        str | None, typer.Argument(help="Market, such as BTC-USDT.", show_default=False)
    ] = None,
    timeframe: Annotated[Timeframe, typer.Option(help="Length of a bar.")] = Timeframe.MINUTE,
    exchange: Annotated[
        str | None, typer.Option(help="Which exchange's; needed where several have the market.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Time or day, UTC: 2026-07-07T09:30.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Likewise; bars before it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many bars.")] = 30,
    pad: Annotated[
        bool, typer.Option("--pad", help="Fill windows without trades with the last close.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Recompute all bars from Gold and say what differed.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write candles and volume to a .png, .svg or .html file instead."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the newest bars of a market, oldest first, with a small chart."""
    settings = Settings.load()
    if rebuild:
        from k2.cli.commands.bars_rebuild import rebuild_bars

        rebuild_bars(settings, as_json)
        return
    if plot is not None:
        check_plot_file(plot)
    if symbol is None:
        raise ConfigError(
            "Name a market, such as `k2 bars BTC-USDT`; `k2 show gold_ohlcv` has all."
        )
    found = newest_bars(
        settings, symbol.upper(), timeframe, exchange, limit, between("bar_start", start, end)
    )
    shown = padded(found, TIMEFRAMES[timeframe])[-limit:] if pad else found
    title = f"{found[0]['exchange']} {symbol.upper()} {timeframe}"
    if plot is not None:
        save_plot(candle_plot(shown, TIMEFRAMES[timeframe], title), plot)
    if as_json:
        print_json(shown)
        return
    if plot is not None:
        typer.echo(f"{len(shown):,} bars in {plot}.")
        return
    console = Console(highlight=False)
    print_table(
        title,
        {heading: "left" if name == "bar_start" else "right" for name, heading in _SHOWN.items()},
        [
            [f"{bar['bar_start']:%m-%d %H:%M}", *(bar[name] for name in list(_SHOWN)[1:])]
            for bar in shown
        ],
        drop=("rev.", "final", "trades", "volume"),
    )
    for line in candles(shown, console.width):
        console.print(line)


def newest_bars(
    settings: Settings,
    symbol: str,
    timeframe: str,
    exchange: str | None,
    limit: int,
    between_: Sequence[Condition] = (),
) -> list[Bar]:
    """Return a market's newest bars, oldest first.

    Raises:
        ConfigError: there are none, or several exchanges have the market and none is named.
    """
    stored = open_table(settings.lake, GOLD_OHLCV)
    if stored is None:
        raise ConfigError(f"There are no bars in {settings.lake} yet; `k2 drain` makes them.")
    of_length = ("timeframe", "=", timeframe)
    bars = scan(stored, ["exchange", "symbol"], [of_length]).table()
    names = bars.group_by(["exchange", "symbol"])
    markets = sorted((m["exchange"], m["symbol"]) for m in names.aggregate([]).to_pylist())
    exchanges = [name for name, market in markets if market == symbol]
    if (exchange is not None and exchange not in exchanges) or not exchanges:
        known = ", ".join(f"{name} {market}" for name, market in markets) or "none"
        where = f" on {exchange}" if exchange else ""
        guess = did_you_mean(symbol, {market for _, market in markets if market != symbol})
        raise ConfigError(
            f"There are no {timeframe} bars of {symbol}{where}.{guess} There are: {known}."
        )
    if exchange is None and len(exchanges) > 1:
        raise ConfigError(f"{symbol} is on {', '.join(exchanges)}: name one with --exchange.")
    market = [("exchange", "=", exchange or exchanges[0]), ("symbol", "=", symbol)]
    rows = scan(stored, where=[of_length, *market, *between_]).table()
    if not rows.num_rows:
        raise ConfigError(f"There are no {timeframe} bars of {symbol} in that time.")
    newest = rows.sort_by([("bar_start", "descending")])[:limit]
    found: list[Bar] = newest.to_pylist()[::-1]
    return found


def padded(bars: list[Bar], seconds: int) -> list[Bar]:
    """Put a bar without trades into every empty window between two bars, at the close before it."""
    filled: list[Bar] = []
    for bar in bars:
        while filled and (start := _next_start(filled[-1], seconds)) < bar["bar_start"]:
            filled.append(_empty_bar(filled[-1], start, bar["is_final"]))
        filled.append(bar)
    return filled


def _next_start(bar: Bar, seconds: int) -> Any:
    return bar["bar_start"] + timedelta(seconds=seconds)


def _empty_bar(before: Bar, start: Any, is_final: bool) -> Bar:
    close, nothing = before["close"], Decimal(0)
    return {
        **before,
        **dict.fromkeys(("open", "high", "low", "close"), close),
        **dict.fromkeys(("volume", "quote_volume", "taker_buy_volume"), nothing),
        "bar_start": start,
        "bar_date": start.date(),
        "vwap": None,
        "trade_count": 0,
        "is_final": is_final,
        "revision": None,
    }
