"""Names of Silver's tables, for those who need no more of them."""

from k2.exchanges.exchange import Exchange


def silver_trades_name(exchange: Exchange) -> str:
    """Return the name of the table of an exchange's valid trades."""
    return f"silver_{exchange.name}_trades"
