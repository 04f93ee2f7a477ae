"""Kraken's AssetPairs: the assets of a pair, by the name that the websocket uses.

Source: the exchange's document of ``GET /0/public/AssetPairs``. ``wsname`` is version 1's name;
version 2 says BTC for XBT and DOGE for XDG, and the same otherwise.
"""

from collections.abc import Iterator
from typing import Any

from k2.exchanges.instruments import Fact
from k2.exchanges.names import SPOT

_V2_CODE = {"XBT": "BTC", "XDG": "DOGE"}


def read_asset_pairs(document: Any, market: str | None) -> Iterator[Fact]:
    """Read the pairs; those without a websocket name have no trades there."""
    del market  # there is one
    for pair in document.get("result", document).values():
        name = pair.get("wsname")
        if not name:
            continue
        base, _, quote = name.partition("/")
        asset_class = "equity" if pair.get("aclass_base") == "tokenized_asset" else ""
        v2_name = f"{_V2_CODE.get(base, base)}/{_V2_CODE.get(quote, quote)}"
        for written in sorted({name, v2_name}):
            yield Fact("spot", written, base, quote, SPOT, "", asset_class)
