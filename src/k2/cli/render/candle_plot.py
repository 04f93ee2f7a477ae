"""Bars as a plot: candles above, volume below."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

from k2.cli.render.plot_file import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RISES, _FALLS = "#2e7d32", "#c62828"
_BODY = 0.7  # of a bar's time
_SECONDS_A_DAY = 86_400


def candle_plot(bars: Sequence[Mapping[str, Any]], seconds: int, title: str) -> "Figure":
    """Draw bars of ``seconds`` each by their UTC start; one that may still change is pale.

    A window without bars stays empty, and a bar without trades is a line at its close.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    figure = new_figure()
    prices, volumes = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    width = seconds / _SECONDS_A_DAY * _BODY
    middles = date2num([bar["bar_start"] for bar in bars]) + seconds / _SECONDS_A_DAY / 2
    colors = [_RISES if bar["close"] >= bar["open"] else _FALLS for bar in bars]
    pale = [1.0 if bar["is_final"] else 0.5 for bar in bars]
    open_, high, low, close, volume = (
        [float(bar[name]) for bar in bars] for name in ("open", "high", "low", "close", "volume")
    )
    prices.vlines(middles, low, high, colors=colors, linewidth=1, alpha=pale)
    bottoms = [min(pair) for pair in zip(open_, close, strict=True)]
    heights = [abs(a - b) for a, b in zip(open_, close, strict=True)]
    bodies = prices.bar(
        middles, heights, width, bottoms, color=colors, edgecolor=colors, linewidth=0.8
    )
    columns = volumes.bar(middles, volume, width, color=colors)
    for rectangles in (bodies, columns):
        for rectangle, alpha in zip(rectangles, pale, strict=True):
            rectangle.set_alpha(alpha)
    prices.set_title(title)
    prices.set_ylabel("price")
    volumes.set_ylabel("volume")
    volumes.set_xlabel("UTC")
    prices.ticklabel_format(axis="y", useOffset=False)
    locator = AutoDateLocator(tz=UTC)
    volumes.xaxis.set_major_locator(locator)
    volumes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    return figure
