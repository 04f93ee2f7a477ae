"""Names of assets, and which of them are dollars."""

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
