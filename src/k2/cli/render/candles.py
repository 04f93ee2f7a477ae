"""Bars as candles of block characters."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.text import Text

_HEIGHT = 12
_MARGIN = 16  # columns for the prices at the left


def candles(bars: Sequence[Mapping[str, Any]], width: int, height: int = _HEIGHT) -> list[Text]:
    """Return the lines of a chart: ``│`` from low to high, ``█`` from open to close.

    One column a bar, the newest that fit; green where it closed at or above its open, else red.
    """
    shown = bars[-max(width - _MARGIN, 1) :]
    if not shown:
        return []
    top, bottom = max(bar["high"] for bar in shown), min(bar["low"] for bar in shown)
    lines = []
    for row in range(height - 1, -1, -1):
        line = Text(_label(row, height, bottom, top).rjust(_MARGIN - 2) + " ")
        for bar in shown:
            rows = {name: _row(bar[name], bottom, top, height) for name in _PRICES}
            line.append(_sign(row, rows), "green" if bar["close"] >= bar["open"] else "red")
        lines.append(line)
    return lines


_PRICES = ("open", "high", "low", "close")


def _sign(row: int, rows: Mapping[str, int]) -> str:
    low, high = sorted((rows["open"], rows["close"]))
    if low <= row <= high:
        return "█"
    return "│" if rows["low"] <= row <= rows["high"] else " "


def _row(price: Decimal, bottom: Decimal, top: Decimal, height: int) -> int:
    if top == bottom:
        return height // 2
    return min(int((price - bottom) / (top - bottom) * height), height - 1)


def _label(row: int, height: int, bottom: Decimal, top: Decimal) -> str:
    if row == height - 1:
        return f"{top.normalize():f}"
    if row == 0:
        return f"{bottom.normalize():f}"
    return ""
