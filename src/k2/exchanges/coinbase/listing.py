"""Coinbase's products, of Exchange and of Advanced Trade: the two assets of a product.

Source: the exchange's documents of ``GET /products`` of both. Futures of Advanced Trade count
contracts, which K2 does not take.
"""

from collections.abc import Iterator
from typing import Any

from k2.exchanges.instruments import Fact
from k2.exchanges.names import SPOT


def read_products(document: Any, market: str | None) -> Iterator[Fact]:
    """Read the products."""
    del market  # there is one
    if isinstance(document, list):
        for product in document:
            yield Fact(
                "spot", product["id"], product["base_currency"], product["quote_currency"], SPOT
            )
        return
    for product in document["products"]:
        kind = product.get("product_type", "SPOT").lower()
        base, quote = product["base_currency_id"], product["quote_currency_id"]
        yield Fact("spot", product["product_id"], base, quote, SPOT if kind == "spot" else kind)
