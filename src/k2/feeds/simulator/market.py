"""Simulated markets: which there are, how active, and how their prices walk."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCALE = 10**8  # prices and quantities are whole numbers of 1e-8 here: never floats

_BURST_GOES_ON = 0.64  # share of neighbouring trades with one time, as measured on BTCUSDT
_TRADE_VALUE = 400.0  # median value of a trade in its quote currency
_WALK_STEP = 0.00004  # standard deviation of a step, relative to the price

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Market:
    """One simulated market; its price stays between ``low`` and ``high``."""

    exchange: str
    symbol: str
    low: float
    high: float
    decimals: int
    schema: str
    first_id: int

    @property
    def tick(self) -> int:
        """Smallest price step, in units of 1e-8."""
        return int(10 ** (8 - self.decimals))


def _binance(symbol: str, low: float, high: float, decimals: int, first_id: int) -> Market:
    return Market("binance", symbol, low, high, decimals, "binance_raw_trade_v1.avsc", first_id)


def _kraken(symbol: str, low: float, high: float, decimals: int, first_id: int) -> Market:
    return Market("kraken", symbol, low, high, decimals, "kraken_raw_trade_v2.avsc", first_id)


def _kraken_v1(symbol: str, low: float, high: float, decimals: int) -> Market:
    return Market("kraken", symbol, low, high, decimals, "kraken_raw_trade_v1.avsc", 0)


# Of each exchange the busiest first: activity falls with the rank.
MARKETS: tuple[Market, ...] = (
    _binance("BTCUSDT", 30_000, 70_000, 2, 6_500_000_000),
    _binance("ETHUSDT", 1_500, 4_500, 2, 2_900_000_000),
    _binance("SOLUSDT", 60, 260, 2, 1_400_000_000),
    _binance("XRPUSDT", 0.4, 3.2, 4, 1_100_000_000),
    _binance("BNBUSDT", 300, 900, 2, 1_200_000_000),
    _binance("DOGEUSDT", 0.06, 0.45, 5, 1_000_000_000),
    _binance("ADAUSDT", 0.3, 1.2, 4, 700_000_000),
    _binance("BTCFDUSD", 30_000, 70_000, 2, 500_000_000),
    _binance("AVAXUSDT", 15, 60, 2, 400_000_000),
    _binance("LINKUSDT", 8, 30, 2, 420_000_000),
    _binance("ETHBTC", 0.03, 0.08, 5, 560_000_000),
    _binance("DOTUSDT", 3, 12, 3, 410_000_000),
    _binance("LTCUSDT", 50, 150, 2, 480_000_000),
    _binance("BCHUSDT", 200, 600, 1, 300_000_000),
    _binance("ETHUSDC", 1_500, 4_500, 2, 310_000_000),
    _binance("PEPEUSDT", 0.000002, 0.00003, 8, 350_000_000),
    _binance("SHIBUSDT", 0.000008, 0.00004, 8, 520_000_000),
    _binance("BTCEUR", 27_000, 64_000, 2, 160_000_000),
    _binance("XLMUSDT", 0.08, 0.5, 4, 180_000_000),
    _binance("ETHEUR", 1_400, 4_100, 2, 140_000_000),
    _kraken("BTC/USD", 30_000, 70_000, 1, 91_000_000),
    _kraken("ETH/USD", 1_500, 4_500, 2, 64_000_000),
    _kraken("SOL/USD", 60, 260, 2, 30_000_000),
    _kraken("XRP/USD", 0.4, 3.2, 5, 50_000_000),
    _kraken("BTC/EUR", 27_000, 64_000, 1, 62_000_000),
    _kraken("DOGE/USD", 0.06, 0.45, 7, 20_000_000),
    _kraken("ADA/USD", 0.3, 1.2, 6, 21_000_000),
    _kraken("USDT/USD", 0.998, 1.002, 5, 25_000_000),
    # Websocket version 1 has no trade ids and the exchange's old names.
    _kraken_v1("XBT/USD", 30_000, 70_000, 1),
    _kraken_v1("XDG/EUR", 0.05, 0.4, 7),
)


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
        self, random: np.random.Generator, kraken_share: float, prices: list[float] | None = None
    ) -> None:
        self._random = random
        self._low = np.array([market.low for market in MARKETS])
        self._high = np.array([market.high for market in MARKETS])
        self._tick = np.array([market.tick for market in MARKETS], dtype=np.int64)
        self._activity = np.cumsum(_activity(kraken_share))
        if prices is None:
            drawn = self._low + (self._high - self._low) * random.uniform(0.2, 0.8, len(MARKETS))
            self._price = drawn
        else:
            self._price = np.array(prices)

    @property
    def prices(self) -> list[float]:
        """Where each market's price stands."""
        return [float(price) for price in self._price]

    def block(self, size: int) -> Block:
        """Draw the next ``size`` trades."""
        draw = self._random
        starts = draw.random(size) >= _BURST_GOES_ON
        starts[0] = True
        burst = np.maximum.accumulate(np.where(starts, np.arange(size), 0))
        # A burst is one order that meets several: one market, one taker.
        market = np.searchsorted(self._activity, draw.random(size))[burst]
        market = np.minimum(market, len(MARKETS) - 1)
        maker = (draw.random(size) < 0.5)[burst]
        limit = (draw.random(size) < 0.6)[burst]
        price = self._walk(market, draw.standard_normal(size))
        return Block(market, price, self._quantities(price, size), burst, maker, limit)

    def _walk(self, market: Ints, steps: NDArray[np.float64]) -> Ints:
        price = np.empty(len(market), dtype=np.int64)
        for index in np.unique(market):
            mine = market == index
            low, high = self._low[index], self._high[index]
            walked = self._price[index] * np.exp(np.cumsum(steps[mine]) * _WALK_STEP)
            # Reflected at both ends of the band.
            into = np.abs((walked - low) % (2 * (high - low)))
            inside = low + np.where(into > high - low, 2 * (high - low) - into, into)
            self._price[index] = inside[-1]
            ticks = np.rint(inside * SCALE / self._tick[index]).astype(np.int64)
            price[mine] = np.maximum(ticks, 1) * self._tick[index]
        return price

    def _quantities(self, price: Ints, size: int) -> Ints:
        value = _TRADE_VALUE * np.exp(1.2 * self._random.standard_normal(size))
        units = np.rint(value / (price / SCALE) * SCALE)
        return np.clip(units, 1, 10**17).astype(np.int64)


def _activity(kraken_share: float) -> NDArray[np.float64]:
    shares = np.empty(len(MARKETS))
    for exchange, total in (("binance", 1 - kraken_share), ("kraken", kraken_share)):
        mine = np.array([market.exchange == exchange for market in MARKETS])
        by_rank = 1 / np.arange(1, mine.sum() + 1)  # Zipf
        shares[mine] = total * by_rank / by_rank.sum()
    return shares
