"""What may not happen to a table that a stream reads: its rows change under the reader."""

import pytest
from tests.builders import append_silver, silver_row
from tests.integration.streams.lake import Lake

from k2.errors import FailedError
from k2.exchanges.binance import BINANCE
from k2.io.delta import open_table
from k2.tables import GOLD_TRADES, silver_trades

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
