"""Names of Binance's markets: spot and perpetuals alike, dated futures, and what K2 does not take.

Source: the exchange's documents of exchangeInfo for spot, USD-M, COIN-M and options.
"""

import re

from k2.exchanges.names import FUTURE, NOT_SUPPORTED, PERPETUAL, SPOT, Name, is_code

# BTC-260925-60000-C; BTCUSD_PERP and BTCUSD_260925 count contracts of so many dollars.
_OPTION = re.compile(r"\w+-\d{6}-[\d.]+-[CP]")
_COIN_MARGINED = re.compile(r"\w+(_PERP|USD_\d{6})")
_DATED = re.compile(r"(\w+)_(\d{6})")


def read_name(name: str, market: str) -> Name | None:
    """Read a name of ``market``: spot, usdm or coinm."""
    if market == "coinm" or _OPTION.fullmatch(name) or _COIN_MARGINED.fullmatch(name):
        return NOT_SUPPORTED
    dated = _DATED.fullmatch(name)
    joined = dated[1] if dated else name
    if not is_code(joined):
        return None
    if dated:
        return (
            None
            if market == "spot"
            else Name(joined=joined, instrument_type=FUTURE, expires=f"20{dated[2]}")
        )
    return Name(joined=joined, instrument_type=SPOT if market == "spot" else PERPETUAL)
