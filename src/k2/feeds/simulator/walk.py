"""Draws trades: in which market, in which bursts, how much, and at what price."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2.feeds.simulator.market import ASSETS, MARKETS, SCALE
from k2.feeds.simulator.rates import Bools, Floats, Ints, Rates

_BURST_GOES_ON = 0.64  # share of neighbouring trades with one time, as measured on BTCUSDT
_TRADE_VALUE = 400.0  # median value of a trade, in dollars

_QUOTE_DOLLARS = np.array([sum(ASSETS[market.quote]) / 2 for market in MARKETS])


@dataclass(frozen=True)
class Block:
    """Trades in the order they happen; entry i of each array belongs to trade i.

    ``market`` is the index in ``MARKETS``, ``price`` and ``quantity`` count 1e-8, ``burst`` is the
    index of the first trade that happened at the same time, ``maker`` says the buyer was resting.
    """

    market: Ints
    price: Ints
    quantity: Ints
    burst: Ints
    maker: Bools
    limit: Bools


class Walk:
    """Draws trades, block by block; the same generator gives the same trades."""

    def __init__(
        self,
        random: np.random.Generator,
        shares: Mapping[str, float],
        values: Mapping[str, float] | None = None,
    ) -> None:
        """Draw with ``shares`` of the trades by exchange, from ``values`` of assets on."""
        self.rates = Rates(random, values)
        self._random = random
        self._activity = np.cumsum(_activity(shares))

    def block(self, size: int) -> Block:
        """Draw the next ``size`` trades."""
        draw = self._random
        starts = draw.random(size) >= _BURST_GOES_ON
        starts[0] = True
        burst = np.maximum.accumulate(np.where(starts, np.arange(size), 0))
        # A burst is one order that meets several: one market, one taker.
        market = np.searchsorted(self._activity, draw.random(size), side="right")[burst]
        market = np.minimum(market, len(MARKETS) - 1)
        maker = (draw.random(size) < 0.5)[burst]
        limit = (draw.random(size) < 0.6)[burst]
        price = self.rates.walk(market, draw.standard_normal(size), maker)
        return Block(market, price, self._quantities(market, price), burst, maker, limit)

    def _quantities(self, market: Ints, price: Ints) -> Ints:
        value = _TRADE_VALUE * np.exp(1.2 * self._random.standard_normal(len(price)))
        units = np.rint(value / (price / SCALE * _QUOTE_DOLLARS[market]) * SCALE)
        quantities: Ints = np.clip(units, 1, 10**17).astype(np.int64)
        return quantities


def _activity(shares: Mapping[str, float]) -> Floats:
    activity: NDArray[np.float64] = np.zeros(len(MARKETS))
    for exchange, share in shares.items():
        mine = np.array([market.exchange == exchange for market in MARKETS])
        by_rank = 1 / np.arange(1, mine.sum() + 1)  # Zipf
        activity[mine] = share * by_rank / by_rank.sum()
    return activity
