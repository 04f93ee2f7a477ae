"""The Gold stream: the union of the exchanges, each trade once, whoever is silent."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from k2.errors import FailedError, StaleCheckpointError
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import dead_letters
from tests.support.lake import WRITERS, Lake
from tests.support.trades import (
    BROKER_TIME,
    TRADE_SECONDS,
    TRADE_TIME,
    append_silver,
    framed,
    kraken_raw,
    silver_row,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def lake(spark, settings):
    return Lake(spark, settings)


def silver(lake, exchange, *offsets, **changes):
    rows = [silver_row(exchange, offset, **changes) for offset in offsets]
    append_silver(lake.settings.lake, exchange, rows)


def gold(lake):
    return [(row["exchange"], row["offset"]) for row in lake.rows(GOLD_TRADES)]


@pytest.mark.parametrize("kind", WRITERS)
def test_trades_of_all_exchanges_come_together(spark, settings, kind):
    lake = Lake(spark, settings, kind)
    silver(lake, BINANCE, 0, 1)
    silver(lake, KRAKEN, 0)

    lake.run(lake.gold())

    assert gold(lake) == [("binance", 0), ("binance", 1), ("kraken", 0)]
    row = lake.rows(GOLD_TRADES)[0]
    assert (row["exchange_hour"], row["is_late"]) == (9, False)


def test_a_batch_takes_no_further_file_of_an_exchange_once_it_has_its_bytes(spark, settings):
    lake = Lake(spark, settings.model_copy(update={"max_bytes_per_batch": 1}))
    for offset in range(3):
        silver(lake, BINANCE, offset)
    silver(lake, KRAKEN, 0)

    reports = lake.run(lake.gold())

    assert [report.rows for report in reports] == [2, 1, 1]
    assert gold(lake) == [("binance", 0), ("binance", 1), ("binance", 2), ("kraken", 0)]


@pytest.mark.parametrize("silent", ["never seen", "seen once"])
def test_gold_moves_while_an_exchange_is_silent_for_hours(lake, silent):
    if silent == "seen once":
        silver(lake, KRAKEN, 0)
        lake.run(lake.gold())

    for hour in range(3):
        moment = timedelta(hours=hour)
        silver(
            lake,
            BINANCE,
            hour,
            timestamp=TRADE_TIME + moment,
            kafka_timestamp=BROKER_TIME + moment,
        )
        lake.run(lake.gold())

        assert ("binance", hour) in gold(lake)


def test_a_late_trade_is_kept_and_marked_once(lake):
    silver(lake, BINANCE, 0, timestamp=TRADE_TIME + timedelta(days=1))
    lake.run(lake.gold())

    silver(lake, BINANCE, 1, timestamp=datetime(2009, 1, 3, tzinfo=UTC))
    lake.run(lake.gold())
    lake.run(lake.gold())

    assert [(row["offset"], row["is_late"]) for row in lake.rows(GOLD_TRADES)] == [
        (0, False),
        (1, True),
    ]


def test_a_batch_whose_commit_was_lost_is_there_once(lake):
    silver(lake, BINANCE, 0, 1)
    silver(lake, KRAKEN, 0)
    lake.run(lake.gold())

    lake.forget_last_commit(lake.gold())
    silver(lake, KRAKEN, 1)
    lake.run(lake.gold())

    assert gold(lake) == [("binance", 0), ("binance", 1), ("kraken", 0), ("kraken", 1)]


def test_a_crash_after_the_write_leaves_each_trade_once(lake):
    silver(lake, BINANCE, 0, 1)
    lake.crash_after = 1
    with pytest.raises(FailedError, match="Crash"):
        lake.run(lake.gold())
    assert gold(lake) == [("binance", 0), ("binance", 1)]

    lake.run(lake.gold())

    assert gold(lake) == [("binance", 0), ("binance", 1)]


def test_a_wiped_checkpoint_refuses_to_start_while_the_table_is_there(lake):
    silver(lake, BINANCE, 0)
    lake.run(lake.gold())
    checkpoint = lake.gold().checkpoint(lake.settings)
    checkpoint.rename(checkpoint.with_name("gone"))

    with pytest.raises(StaleCheckpointError, match="gold_trades has batch 0"):
        lake.run(lake.gold())


def test_a_trade_from_the_future_never_reaches_golds_watermark(lake):
    far = f"{TRADE_SECONDS + 10**9}.000000"
    lake.bronze(
        KRAKEN,
        framed(kraken_raw(trade_id=1)),
        framed(kraken_raw(trade_id=2, trade_time_seconds=far)),
    )

    lake.run(lake.silver(KRAKEN))
    lake.run(lake.gold())
    lake.run(lake.gold())

    # The next batch's offsets carry the watermark that the batches before have reached.
    silver(lake, BINANCE, 5)
    lake.run(lake.gold())
    offsets = lake.gold().checkpoint(lake.settings) / "offsets"
    newest = max(int(path.name) for path in offsets.iterdir() if path.name.isdigit())
    watermark = json.loads((offsets / str(newest)).read_text().splitlines()[1])["batchWatermarkMs"]
    assert lake.offsets(dead_letters(KRAKEN)) == [1]
    assert gold(lake) == [("binance", 5), ("kraken", 0)]
    assert watermark == (TRADE_SECONDS - 300) * 1000
