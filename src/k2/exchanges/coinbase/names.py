"""Names of Coinbase's products: ``BTC-USD``; a third part names a contract's venue.

Source: the exchange's documents of products of Advanced Trade (``BIT-26SEP25-CDE``,
``BTC-PERP-INTX``), whose sizes count contracts.
"""

from k2.exchanges.names import NOT_SUPPORTED, Name, is_code


def read_name(name: str, market: str) -> Name | None:
    """Read a product's name."""
    del market  # there is one
    codes = name.split("-")
    if not all(map(is_code, codes)) or len(codes) not in (2, 3):
        return None
    return Name(codes[0], codes[1]) if len(codes) == 2 else NOT_SUPPORTED
