"""Simulated markets: which there are of each exchange, and between what bounds their assets move."""

from dataclasses import dataclass

SCALE = 10**8  # prices and quantities are whole numbers of 1e-8 here: never floats

# Dollars that one of an asset is worth, at least and at most.
ASSETS: dict[str, tuple[float, float]] = {
    "USD": (1, 1),
    "USDT": (0.9985, 1.0015),
    "USDC": (0.9992, 1.0008),
    "FDUSD": (0.998, 1.001),
    "EUR": (1.04, 1.16),
    "BTC": (30_000, 70_000),
    "ETH": (1_500, 4_500),
    "SOL": (60, 260),
    "XRP": (0.4, 3.2),
    "BNB": (300, 900),
    "DOGE": (0.06, 0.45),
    "ADA": (0.3, 1.2),
    "AVAX": (15, 60),
    "LINK": (8, 30),
    "DOT": (3, 12),
    "LTC": (50, 150),
    "BCH": (200, 600),
    "PEPE": (0.000002, 0.00003),
    "SHIB": (0.000008, 0.00004),
    "XLM": (0.08, 0.5),
}


@dataclass(frozen=True)
class Market:
    """One simulated market: ``base`` priced in ``quote``, in steps of ``decimals`` places."""

    exchange: str
    symbol: str
    base: str
    quote: str
    decimals: int
    schema: str
    first_id: int

    @property
    def tick(self) -> int:
        """Smallest price step, in units of 1e-8."""
        return int(10 ** (8 - self.decimals))


def _binance(base: str, quote: str, decimals: int, first_id: int) -> Market:
    schema = "binance_raw_trade_v1.avsc"
    return Market("binance", base + quote, base, quote, decimals, schema, first_id)


def _kraken(base: str, quote: str, decimals: int, first_id: int) -> Market:
    schema = "kraken_raw_trade_v2.avsc"
    return Market("kraken", f"{base}/{quote}", base, quote, decimals, schema, first_id)


def _kraken_v1(symbol: str, base: str, quote: str, decimals: int) -> Market:
    return Market("kraken", symbol, base, quote, decimals, "kraken_raw_trade_v1.avsc", 0)


def _coinbase(base: str, quote: str, decimals: int, first_id: int) -> Market:
    schema = "coinbase_raw_trade_v1.avsc"
    return Market("coinbase", f"{base}-{quote}", base, quote, decimals, schema, first_id)


# Of each exchange the busiest first: activity falls with the rank.
MARKETS: tuple[Market, ...] = (
    _binance("BTC", "USDT", 2, 6_500_000_000),
    _binance("ETH", "USDT", 2, 2_900_000_000),
    _binance("SOL", "USDT", 2, 1_400_000_000),
    _binance("XRP", "USDT", 4, 1_100_000_000),
    _binance("BNB", "USDT", 2, 1_200_000_000),
    _binance("DOGE", "USDT", 5, 1_000_000_000),
    _binance("ADA", "USDT", 4, 700_000_000),
    _binance("BTC", "FDUSD", 2, 500_000_000),
    _binance("AVAX", "USDT", 2, 400_000_000),
    _binance("LINK", "USDT", 2, 420_000_000),
    _binance("ETH", "BTC", 5, 560_000_000),
    _binance("DOT", "USDT", 3, 410_000_000),
    _binance("LTC", "USDT", 2, 480_000_000),
    _binance("BCH", "USDT", 1, 300_000_000),
    _binance("ETH", "USDC", 2, 310_000_000),
    _binance("PEPE", "USDT", 8, 350_000_000),
    _binance("SHIB", "USDT", 8, 520_000_000),
    _binance("BTC", "EUR", 2, 160_000_000),
    _binance("XLM", "USDT", 4, 180_000_000),
    _binance("ETH", "EUR", 2, 140_000_000),
    _kraken("BTC", "USD", 1, 91_000_000),
    _kraken("ETH", "USD", 2, 64_000_000),
    _kraken("SOL", "USD", 2, 30_000_000),
    _kraken("XRP", "USD", 5, 50_000_000),
    _kraken("BTC", "EUR", 1, 62_000_000),
    _kraken("DOGE", "USD", 7, 20_000_000),
    _kraken("ADA", "USD", 6, 21_000_000),
    _kraken("USDT", "USD", 5, 25_000_000),
    # Websocket version 1 has no trade ids and the exchange's old names.
    _kraken_v1("XBT/USD", "BTC", "USD", 1),
    _kraken_v1("XDG/EUR", "DOGE", "EUR", 7),
    _coinbase("BTC", "USD", 2, 830_000_000),
    _coinbase("ETH", "USD", 2, 640_000_000),
    _coinbase("SOL", "USD", 2, 310_000_000),
    _coinbase("XRP", "USD", 4, 120_000_000),
    _coinbase("DOGE", "USD", 5, 90_000_000),
    _coinbase("BTC", "EUR", 2, 80_000_000),
    _coinbase("ETH", "BTC", 5, 70_000_000),
    _coinbase("LTC", "USD", 2, 95_000_000),
)
