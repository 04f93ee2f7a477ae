"""Standard codes and names of assets, and SQL that splits a market's name into two assets."""

from collections.abc import Iterable

# Source: Kraken's asset names (X before old coins, Z before fiat), and the ISO 4217 codes.
STANDARD_CODE = {
    "XBT": "BTC",
    "XXBT": "BTC",
    "XDG": "DOGE",
    "XXDG": "DOGE",
    "XETH": "ETH",
    "XETC": "ETC",
    "XLTC": "LTC",
    "XMLN": "MLN",
    "XREP": "REP",
    "XXLM": "XLM",
    "XXMR": "XMR",
    "XXRP": "XRP",
    "XZEC": "ZEC",
    "ZAUD": "AUD",
    "ZCAD": "CAD",
    "ZEUR": "EUR",
    "ZGBP": "GBP",
    "ZJPY": "JPY",
    "ZUSD": "USD",
}

ASSET_NAME = {
    "ADA": "Cardano",
    "AVAX": "Avalanche",
    "BCH": "Bitcoin Cash",
    "BNB": "BNB",
    "BTC": "Bitcoin",
    "DOGE": "Dogecoin",
    "DOT": "Polkadot",
    "ETC": "Ethereum Classic",
    "ETH": "Ethereum",
    "LINK": "Chainlink",
    "LTC": "Litecoin",
    "MLN": "Enzyme",
    "PEPE": "Pepe",
    "REP": "Augur",
    "SHIB": "Shiba Inu",
    "SOL": "Solana",
    "USDC": "USD Coin",
    "USDT": "Tether",
    "XLM": "Stellar",
    "XMR": "Monero",
    "XRP": "XRP",
    "ZEC": "Zcash",
    "AUD": "Australian Dollar",
    "CAD": "Canadian Dollar",
    "CHF": "Swiss Franc",
    "EUR": "Euro",
    "GBP": "Pound Sterling",
    "JPY": "Japanese Yen",
    "USD": "US Dollar",
}

# A trade against one of these is worth price × quantity in dollars.
DOLLARS = ("USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USDP", "DAI", "PYUSD", "USD1")


def split_by_suffix(symbol: str, quotes: Iterable[str]) -> tuple[str, str]:
    """SQL for base and quote of a market name without separator, such as ``BTCUSDT``.

    The longest of ``quotes`` that ends the name is the quote, and what is before it, capitals and
    digits, the base; otherwise both are null.
    """
    by_length: dict[int, list[str]] = {}
    for quote in sorted(quotes):
        by_length.setdefault(len(quote), []).append(f"'{quote}'")
    ends = {length: f"right({symbol}, {length})" for length in sorted(by_length, reverse=True)}
    whens = " ".join(
        f"when {end} in ({', '.join(by_length[length])}) then {end}" for length, end in ends.items()
    )
    ending = f"case {whens} end"
    start = f"left({symbol}, length({symbol}) - length({ending}))"
    is_code = f"regexp_full_match({start}, '[A-Z0-9]+')"
    return f"case when {is_code} then {start} end", f"case when {is_code} then {ending} end"


def split_at(symbol: str, separator: str) -> tuple[str, str]:
    """SQL for base and quote of a market name with a separator, such as ``BTC/USD``.

    Both are null unless the name is two non-empty codes of capitals, digits and points.
    """
    is_name = f"regexp_full_match({symbol}, '[A-Z0-9.]+{separator}[A-Z0-9.]+')"
    parts = (f"split_part({symbol}, '{separator}', {place})" for place in (1, 2))
    base, quote = (f"case when {is_name} then {part} end" for part in parts)
    return base, quote
