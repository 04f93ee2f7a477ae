"""Types of parameters that several kinds have."""

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from k2.exchanges import EXCHANGES, exchange_named


def _check_exchange(name: str) -> str:
    return exchange_named(name).name


ExchangeName = Annotated[
    str,
    AfterValidator(_check_exchange),
    WithJsonSchema({"type": "string", "enum": [exchange.name for exchange in EXCHANGES]}),
]
