"""What may not happen to a table that a stream reads: its rows change under the reader."""

from datetime import UTC, datetime, timedelta

import pytest

from k2.errors import FailedError
from k2.exchanges.binance import BINANCE
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table
from k2.storage.maintenance.compaction import compact
from k2.storage.maintenance.vacuum import closed_partitions, files_of
from tests.support.lake import Lake
from tests.support.trades import append_silver, silver_row

pytestmark = pytest.mark.integration

SILVER = silver_trades(BINANCE)


@pytest.fixture
def lake(spark, settings):
    """Three trades in three files of Silver, of which Gold has all."""
    lake = Lake(spark, settings)
    for offset in range(3):
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, offset)])
    lake.run(lake.gold())
    assert lake.offsets(GOLD_TRADES) == [0, 1, 2]
    return lake


@pytest.mark.parametrize("change", ["deleted", "updated"])
def test_a_stream_refuses_a_table_whose_rows_were_changed(lake, change):
    stored = open_table(lake.settings.lake, SILVER)

    if change == "deleted":
        stored.delete('"offset" = 1')
    else:
        stored.update(updates={"side": "'BUY'"}, predicate='"offset" = 1')
    append_silver(lake.settings.lake, BINANCE, [silver_row(BINANCE, 3)])

    with pytest.raises(FailedError, match=r"Stream gold failed.*DELTA_SOURCE"):
        lake.run(lake.gold())
    assert lake.offsets(GOLD_TRADES) == [0, 1, 2]


@pytest.mark.parametrize("gold_is", ["up to date", "behind", "new"])
def test_a_stream_does_not_see_that_a_table_was_compacted(spark, settings, gold_is):
    lake = Lake(spark, settings)
    append_silver(settings.lake, BINANCE, [silver_row(BINANCE, 0)])
    if gold_is != "new":
        lake.run(lake.gold())
    append_silver(settings.lake, BINANCE, [silver_row(BINANCE, 1)])
    if gold_is == "up to date":
        lake.run(lake.gold())
    stored = open_table(settings.lake, SILVER)
    (partition,) = closed_partitions(stored, SILVER, datetime.max.replace(tzinfo=UTC), timedelta())

    compact(stored, SILVER, partition)
    append_silver(settings.lake, BINANCE, [silver_row(BINANCE, 2)])
    lake.run(lake.gold())

    assert files_of(open_table(settings.lake, SILVER)).files == 2
    assert lake.offsets(GOLD_TRADES) == [0, 1, 2]
