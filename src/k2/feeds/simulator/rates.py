"""What assets are worth while trades happen: one walk an asset, which prices every market of it."""

from bisect import bisect_right
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from k2.feeds.simulator.market import ASSETS, MARKETS, SCALE

_WALK_STEP = 0.00004  # standard deviation of a step, relative to the value
_HALF_SPREAD = 0.00001  # by which a taker buys dearer and sells cheaper than the value
_HISTORY_STEP_US = 10_000_000
_HISTORY_STEPS = 1_200  # of ten seconds: longer than a trade may be late

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NAMES = tuple(ASSETS)
_LOW, _HIGH = (np.array([bounds[side] for bounds in ASSETS.values()]) for side in (0, 1))
_BASE = np.array([_NAMES.index(market.base) for market in MARKETS])
_QUOTE = np.array([_NAMES.index(market.quote) for market in MARKETS])
_TICK = np.array([market.tick for market in MARKETS], dtype=np.int64)


class Rates:
    """The dollar value of each asset, now and in the hours before."""

    def __init__(self, random: np.random.Generator, values: Mapping[str, float] | None) -> None:
        """Go on from ``values`` by asset; those that are not among them are drawn."""
        drawn = _LOW + (_HIGH - _LOW) * random.uniform(0.2, 0.8, len(_NAMES))
        known = [
            (values or {}).get(name, float(at)) for name, at in zip(_NAMES, drawn, strict=True)
        ]
        self._now = np.clip(np.array(known), _LOW, _HIGH)
        self._block = self._now[:, None]  # values at each trade of the last block
        self._times: list[int] = []
        self._before: list[Floats] = []

    @property
    def values(self) -> dict[str, float]:
        """Dollars by asset, now."""
        return dict(zip(_NAMES, map(float, self._now), strict=True))

    def walk(self, market: Ints, steps: Floats, maker: Bools) -> Ints:
        """Move by the trades of a block, in their order; return each one's price in 1e-8.

        A trade moves the base asset of its market, and so the price in every market and on every
        exchange; ``maker`` says that the buyer was resting, so that the taker sold.
        """
        value = np.repeat(self._now[:, None], len(market), axis=1)
        base = _BASE[market]
        for asset in np.unique(base):
            moves = np.where(base == asset, steps * _WALK_STEP, 0.0)
            walked = self._now[asset] * np.exp(np.cumsum(moves))
            value[asset] = _reflect(walked, _LOW[asset], _HIGH[asset])
        self._block, self._now = value, value[:, -1].copy()
        place = np.arange(len(market))
        return _price(market, value[base, place] / value[_QUOTE[market], place], maker)

    def remember(self, first_us: int, step_us: float) -> None:
        """Note the values of the last block, whose trade i happened at ``first_us + i × step_us``.

        One every ten seconds, for trades that arrive late.
        """
        size = self._block.shape[1]
        every = max(1, min(size, int(_HISTORY_STEP_US / step_us)))
        for place in range(0, size, every):
            moment_us = first_us + int(place * step_us)
            if not self._times or moment_us - self._times[-1] >= _HISTORY_STEP_US:
                self._times.append(moment_us)
                self._before.append(self._block[:, place].copy())
        del self._times[:-_HISTORY_STEPS], self._before[:-_HISTORY_STEPS]

    def price_at(self, market: int, moment_us: int, maker: bool) -> int | None:
        """Return a market's price at a moment; None where it is before all that was noted."""
        noted = bisect_right(self._times, moment_us) - 1
        if noted < 0:
            return None
        value = self._before[noted]
        rate = value[_BASE[market]] / value[_QUOTE[market]]
        return int(_price(np.array([market]), np.array([rate]), np.array([maker]))[0])


def _reflect(walked: Floats, low: float, high: float) -> Floats:
    """Turn a walk around at both bounds."""
    into = np.abs((walked - low) % (2 * (high - low)))
    return low + np.where(into > high - low, 2 * (high - low) - into, into)


def _price(market: Ints, rate: Floats, maker: Bools) -> Ints:
    traded = rate * np.where(maker, 1 - _HALF_SPREAD, 1 + _HALF_SPREAD)
    ticks = np.rint(traded * SCALE / _TICK[market]).astype(np.int64)
    price: Ints = np.maximum(ticks, 1) * _TICK[market]
    return price
