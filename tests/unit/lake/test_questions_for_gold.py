"""Every query of docs/how-to/questions-for-gold.md, asked of a lake whose answers are known."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import k2
from tests.support.stored_rows import store_bars, store_gold

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "questions-for-gold.md"
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

NINE = dt.datetime(2026, 7, 7, 9, 0, tzinfo=dt.UTC)
MINUTES = {at: NINE + dt.timedelta(minutes=at) for at in (0, 1, 15, 16)}
USDT = {"exchange": "binance", "symbol": "BTC-USDT", "currency": "USDT"}
USD = {"exchange": "kraken", "symbol": "BTC-USD", "currency": "USD"}
EUR = {"exchange": "binance", "symbol": "BTC-EUR", "currency": "EUR"}


def at(seconds: int) -> dt.datetime:
    return NINE + dt.timedelta(seconds=seconds)


def trade(
    market: dict[str, str], seconds: int, side: str, price: int, quantity: int
) -> dict[str, Any]:
    """One trade, late when it is after a quarter of an hour."""
    is_late = seconds > 900
    return {
        **market,
        "timestamp": at(seconds),
        "side": side,
        "price": Decimal(price),
        "quantity": Decimal(quantity),
        "trade_value_usd": None if market is EUR else Decimal(price * quantity),
        "kafka_timestamp": at(seconds + (600 if is_late else 1)),
        "is_late": is_late,
    }


TRADES = [
    trade(USDT, 10, "BUY", 100, 1),
    trade(USDT, 40, "SELL", 102, 3),
    trade(USDT, 70, "BUY", 104, 2),
    trade(USDT, 960, "SELL", 110, 1),
    trade(USD, 20, "BUY", 101, 1),
    trade(USD, 90, "SELL", 103, 1),
    trade(EUR, 30, "BUY", 90, 2),
]
QUARTERS = [
    (NINE, 100, 104, 100, 104, 6, 3),
    (at(900), 110, 110, 110, 110, 1, 1),
]
ANSWERS: list[list[tuple[Any, ...]]] = [
    [(at(10), "BUY", 100, 1), (at(40), "SELL", 102, 3)],
    [
        ("binance", "BTC-EUR", "EUR", 90.0),
        ("binance", "BTC-USDT", "USDT", 103.4286),
        ("kraken", "BTC-USD", "USD", 102.0),
    ],
    QUARTERS,
    QUARTERS,
    [(at(10), 100, None), (at(40), 102, 101), (at(70), 104, 101), (at(960), 110, 103)],
    [("binance", "BTC-USDT", NINE, -2)],
    [(NINE, 99.0), (at(60), 97.1)],
    [(NINE, -0.5), (at(60), 1.0), (at(960), -1.0)],
    [
        ("binance", 1, 5, dt.timedelta(minutes=10)),
        ("kraken", 0, 2, dt.timedelta(seconds=1)),
    ],
    [(at(10), 100, None), (at(40), 102, None), (at(70), 104, 102), (at(960), 110, 104)],
    [(Decimal("928.00"), 1)],
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[k2.Lake]:
    home = tmp_path_factory.mktemp("home")
    store_gold(home / "lake", *TRADES)
    store_bars(home / "lake", *TRADES)
    with k2.Lake(home) as opened:
        yield opened


def test_every_query_of_the_page_has_an_answer() -> None:
    assert len(QUERIES) == len(ANSWERS)


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_a_query_of_the_page_gives_the_known_answer(lake: k2.Lake, number: int) -> None:
    found = lake.sql(QUERIES[number]).to_duckdb().fetchall()

    assert found == ANSWERS[number]
