"""An exchange that is added to a home in use: Gold goes on, and takes it from its first trade."""

import pytest
from pyspark.sql import SparkSession

from k2.exchanges import Exchange
from k2.exchanges.binance import BINANCE
from k2.exchanges.coinbase import COINBASE
from k2.exchanges.kraken import KRAKEN
from k2.gold.processor import gold_stream
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.writers.arrow import ArrowWriter
from tests.support.lake import Lake
from tests.support.trades import append, silver_row

pytestmark = pytest.mark.integration


@pytest.fixture
def lake(spark: SparkSession, settings: Settings) -> Lake:
    return Lake(spark, settings)


def gold(lake: Lake, *exchanges: Exchange) -> list[tuple[str, int]]:
    lake.run(gold_stream(exchanges, lake.settings, ArrowWriter(lake.settings.lake)))
    return [(row["exchange"], row["offset"]) for row in lake.rows(GOLD_TRADES)]


def trade(lake: Lake, exchange: Exchange, offset: int) -> None:
    of_kraken = silver_row(KRAKEN, offset)
    names = {"exchange": exchange.name, "topic": exchange.topic}
    identity = {"message_id": f"{exchange.name}-20260707-{offset:032x}"}
    append(lake.settings.lake, silver_trades(exchange), [of_kraken | names | identity])


def test_gold_takes_a_further_exchange_from_its_first_trade(lake: Lake) -> None:
    trade(lake, BINANCE, 0)
    trade(lake, KRAKEN, 0)
    assert gold(lake, BINANCE, KRAKEN) == [("binance", 0), ("kraken", 0)]

    trade(lake, COINBASE, 0)
    trade(lake, COINBASE, 1)
    trade(lake, BINANCE, 1)
    found = gold(lake, BINANCE, KRAKEN, COINBASE)

    assert found == [
        ("binance", 0),
        ("binance", 1),
        ("coinbase", 0),
        ("coinbase", 1),
        ("kraken", 0),
    ]


def test_a_batch_cut_short_before_the_exchange_was_added_is_finished_once(lake: Lake) -> None:
    trade(lake, BINANCE, 0)
    gold(lake, BINANCE, KRAKEN)
    lake.forget_last_commit(
        gold_stream((BINANCE, KRAKEN), lake.settings, ArrowWriter(lake.settings.lake))
    )

    trade(lake, COINBASE, 0)
    found = gold(lake, BINANCE, KRAKEN, COINBASE)

    assert found == [("binance", 0), ("coinbase", 0)]
