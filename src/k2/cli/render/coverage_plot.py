"""Coverage as a plot: each market's hours by day, a colour a condition."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from k2.cli.render.plot_file import new_figure
from k2.quality.coverage.states import Condition
from k2.quality.coverage.summary import MarketCoverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {
    Condition.AVAILABLE: "#2e7d32",
    Condition.DEGRADED: "#f9a825",
    Condition.PENDING: "#bdbdbd",
    Condition.MISSING: "#c62828",
}
_HOURS = 24
_ROW_INCHES, _HEAD_INCHES = 0.18, 0.8


def coverage_plot(markets: Sequence[MarketCoverage]) -> "Figure":
    """Draw the calendars of markets below each other; white is before a market's first trade."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    days = [_days(market) for market in markets]
    height = sum(max(len(of), 3) * _ROW_INCHES + _HEAD_INCHES for of in days) + _HEAD_INCHES
    figure = new_figure(8, height)
    axes = figure.subplots(len(markets), 1, squeeze=False)[:, 0]
    colors = ListedColormap(["white", *_COLORS.values()])
    for market, of, axis in zip(markets, days, axes, strict=True):
        place = {day: number for number, day in enumerate(of)}
        cells = [[0] * _HOURS for _ in of]
        for row in market.rows:
            condition = list(_COLORS).index(Condition(row["condition"])) + 1
            cells[place[row["hour"].date()]][row["hour"].hour] = condition
        axis.pcolormesh(
            cells, cmap=colors, vmin=0, vmax=len(_COLORS), edgecolors="white", linewidth=0.5
        )
        axis.invert_yaxis()
        axis.set_title(market.title, loc="left", fontsize="medium")
        step = max(1, len(of) // 15)
        axis.set_yticks([n + 0.5 for n in range(0, len(of), step)], map(str, of[::step]))
        axis.set_xticks(range(0, _HOURS + 1, 3))
    axes[-1].set_xlabel("hour, UTC")
    patches = [Patch(color=color, label=str(name)) for name, color in _COLORS.items()]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(patches), frameon=False)
    return figure


def _days(market: MarketCoverage) -> list[date]:
    """All days from a market's first to its last."""
    first, last = market.rows[0]["hour"].date(), market.rows[-1]["hour"].date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
