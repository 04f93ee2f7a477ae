"""Template's products: the two assets of a market.

Source: name the document of the REST call that lists markets here.
"""

from collections.abc import Iterator
from typing import Any

from k2.exchanges.instruments import Fact
from k2.exchanges.names import SPOT


def read_template_products(document: Any, market: str | None) -> Iterator[Fact]:
    """Read the exchange's own list of its markets."""
    del market  # there is one
    for product in document["products"]:
        yield Fact(SPOT, product["id"], product["base"], product["quote"], SPOT)
