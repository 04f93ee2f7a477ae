"""``k2 bars --rebuild``: all bars once more from Gold, which should change nothing."""

import typer
from rich.console import Console

from k2.bars.processor import rebuild
from k2.bars.table import GOLD_OHLCV
from k2.cli.render.printing import print_json
from k2.home.locks import exclusive
from k2.settings import Settings


def rebuild_bars(settings: Settings, as_json: bool) -> None:
    """Recompute all bars, replace those that differ, and say how many did.

    Raises:
        InUseError: the stream of bars runs.
    """
    purpose = "`k2 bars --rebuild`"
    wrong = {}
    with (
        exclusive(settings.run / "locks", [GOLD_OHLCV.name], purpose),
        Console(stderr=True).status("Recomputing bars …") as spinner,
    ):
        for day, count in rebuild(settings):
            spinner.update(f"Recomputed bars of {day}")
            wrong[day.isoformat()] = count
    if as_json:
        print_json({"days": len(wrong), "replaced": {d: n for d, n in wrong.items() if n}})
        return
    typer.echo(f"Recomputed {len(wrong)} days: {sum(wrong.values()):,} bars differed or were new.")
