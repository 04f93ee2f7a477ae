"""``k2 coverage``: what is missing, by exchange, market and hour; and accepting a gap."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from k2.cli.render.calendar import LEGEND, calendar
from k2.cli.render.coverage_plot import coverage_plot
from k2.cli.render.plot_file import check_plot_file, save_plot
from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError
from k2.exchanges import exchange_named
from k2.home.locks import exclusive_soon
from k2.lake.conditions import moment_before, moment_of
from k2.quality.coverage.gaps import Acceptance, Gap
from k2.quality.coverage.ledger import Ledger
from k2.quality.coverage.summary import MarketCoverage, open_gaps, summarize
from k2.quality.coverage.table import OPS_COVERAGE, OPS_COVERAGE_ACCEPTED
from k2.quality.coverage.timeline import Row
from k2.quality.coverage.update import CoverageUpdate
from k2.settings import Settings
from k2.storage.delta import open_table

_MAX_CALENDARS = 6
_MAX_PLOTTED = 40
_MAX_GAPS = 20

coverage = typer.Typer(
    help="Show what is missing, by exchange, market and hour.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@coverage.callback()
def show_command(
    context: typer.Context,
    symbol: Annotated[str | None, typer.Option(help="A market, such as BTC-USDT.")] = None,
    exchange: Annotated[str | None, typer.Option(help="An exchange.")] = None,
    since: Annotated[
        str, typer.Option(help="How far back, such as 24h or 30d, or a time in UTC.")
    ] = "7d",
    plot: Annotated[
        Path | None, typer.Option(help="Draw it into this file: .png, .svg or .html.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a row an hour.")] = False,
) -> None:
    """Show each market's hours as a table and a calendar, and the gaps that are open.

    The ledger is kept by the quality check `coverage`. Exits with 0 whatever is missing.
    """
    if context.invoked_subcommand is not None:
        return
    if plot is not None:
        check_plot_file(plot)
    rows = _stored_rows(Settings.load(), symbol, exchange, since)
    if plot is not None:
        save_plot(coverage_plot(_odd_first(summarize(rows))[:_MAX_PLOTTED]), plot)
        typer.echo(f"Wrote {plot}.", err=as_json)
    if as_json:
        print_json(rows)
        return
    found = summarize(rows)
    _print_markets(found)
    console = Console(highlight=False)
    shown = _odd_first(found)
    for market in shown[:_MAX_CALENDARS]:
        console.print()
        for line in calendar(market.title, market.rows):
            console.print(line)
    console.print()
    console.print(LEGEND)
    if len(shown) > _MAX_CALENDARS:
        console.print(
            f"{len(shown) - _MAX_CALENDARS} more markets: --exchange and --symbol choose one."
        )
    _print_gaps(console, rows)


@coverage.command("accept")
def accept_command(
    exchange: Annotated[str, typer.Argument(help="The exchange.")],
    symbol: Annotated[str, typer.Argument(help="The market, such as BTC-USDT.")],
    reason: Annotated[str, typer.Option(help="Why the gap is accepted; it is kept.")],
    ids: Annotated[
        str | None, typer.Option(help="Numbers of the exchange, such as 100-120.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="A time in UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="A time in UTC.")] = None,
) -> None:
    """Accept that trades are missing: the gaps in a range of numbers, or of time.

    Its hours count as available from then on, also when they are computed again.
    """
    settings = Settings.load()
    market = exchange_named(exchange).name, symbol.upper()
    acceptance = _acceptance(reason, ids, start, end)
    names = [OPS_COVERAGE.name, OPS_COVERAGE_ACCEPTED.name]
    with exclusive_soon(settings.run / "locks", names, "k2 coverage accept"):
        now = datetime.now(UTC)
        update = CoverageUpdate(settings, now)
        known = update.ledger.rows(_EVER, now, *market)
        gaps = [gap for _, gap in open_gaps(known)]
        covered = [gap for gap in gaps if acceptance.covers(gap)]
        if not covered:
            listed = "; ".join(map(_gap_text, gaps[:5])) or "none"
            raise ConfigError(
                f"No open gap of {symbol.upper()} on {exchange} is within that. Open: {listed}."
            )
        update.ledger.accept(market, acceptance, now)
        update.reconsider(
            market, min(gap.start for gap in covered), max(gap.end for gap in covered)
        )
    count = sum(gap.size for gap in covered)
    typer.echo(f"Accepted {len(covered)} gaps, {count} trades: {reason}")


_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def _stored_rows(
    settings: Settings, symbol: str | None, exchange: str | None, since: str
) -> list[Row]:
    if open_table(settings.lake, OPS_COVERAGE) is None:
        raise ConfigError(
            f"{settings.home} has no coverage yet; `k2 quality run coverage` computes it."
        )
    begin = moment_before(since, datetime.now(UTC))
    until = datetime.now(UTC) + timedelta(hours=1)
    name = exchange_named(exchange).name if exchange is not None else None
    rows = Ledger(settings.lake).rows(begin, until, name, symbol.upper() if symbol else None)
    if not rows:
        raise ConfigError(f"There is no coverage of that since {begin:%Y-%m-%d %H:%M} UTC.")
    return rows


def _acceptance(reason: str, ids: str | None, start: str | None, end: str | None) -> Acceptance:
    if not reason.strip():
        raise ConfigError("Say why with --reason; it is all that later readers will know.")
    if ids is not None:
        first, _, last = ids.partition("-")
        if not (first.isascii() and first.isdigit()) or (last and not last.isdigit()):
            raise ConfigError(f"{ids!r} is no range of numbers; write 100-120.")
        return Acceptance(reason, first_id=int(first), last_id=int(last or first))
    if start is None or end is None:
        raise ConfigError("Name the gap: --ids 100-120, or --from and --to with times in UTC.")
    return Acceptance(reason, start=moment_of(start), end=moment_of(end))


def _odd_first(found: Sequence[MarketCoverage]) -> list[MarketCoverage]:
    """Markets with something to see first; the others would look all the same."""
    return sorted(found, key=lambda market: (not market.is_odd, market.exchange, market.symbol))


def _print_markets(found: Sequence[MarketCoverage]) -> None:
    headings = {
        "exchange": "left",
        "symbol": "left",
        **dict.fromkeys(("hours", "avail.", "degr.", "pend.", "miss."), "right"),
        **dict.fromkeys(("trades", "lacking", "gaps", "dupl.", "dead", "late", "silence"), "right"),
    }
    print_table(
        "Coverage",
        headings,
        [
            [
                *(market.exchange, market.symbol or "(none known)", len(market.rows)),
                *market.conditions.values(),
                *(market.trades, market.missing, market.open_gaps, market.duplicates),
                *(market.dead_letters, market.late, f"{market.silence_seconds:,.0f} s"),
            ]
            for market in found
        ],
        drop=("late", "dupl.", "silence", "dead", "hours", "trades", "gaps"),
    )


def _print_gaps(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    gaps = open_gaps(rows)
    if not gaps:
        return
    console.print()
    console.print("Open gaps:")
    for row, gap in gaps[:_MAX_GAPS]:
        console.print(f"  {row['exchange']} {row['symbol']} {_gap_text(gap)}", soft_wrap=True)
    if len(gaps) > _MAX_GAPS:
        console.print(f"  and {len(gaps) - _MAX_GAPS} more; --json has all")


def _gap_text(gap: Gap) -> str:
    where = f"{gap.start:%m-%d %H:%M:%S} to {gap.end:%m-%d %H:%M:%S}, {gap.cause}"
    if gap.first_id is None:
        return where
    return f"{gap.first_id}-{gap.last_id} ({gap.size}), {where}"
