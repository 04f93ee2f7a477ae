"""Bronze decided again gives the tables that are stored, byte for byte, replays included."""

import pytest
from deltalake import write_deltalake

from k2.bronze.table import bronze_trades
from k2.engine.table_owner import TableOwner
from k2.engine.table_requests import REPLAY, Request
from k2.exchanges.kraken import KRAKEN
from k2.home.instrument_lists import InstrumentLists
from k2.quality.table_diff import compare, newest_offsets
from k2.silver import rebuild
from k2.silver.rebuild import Rebuild, scratch_settings, slices
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.delta import open_table
from tests.support.lake import Lake
from tests.support.mixed_records import MIXED, NEW_ID, NEW_SCHEMA, of_new_schema
from tests.support.trades import READER, framed, kraken_raw

pytestmark = pytest.mark.integration

TABLES = [table(KRAKEN) for table in (silver_trades, duplicates, dead_letters)]


@pytest.fixture
def lake(spark, settings):
    """Offsets 7 and 8 were replayed: 7 before its trade came readable, 8 after."""
    lake = Lake(spark, settings)
    lake.bronze(KRAKEN, *MIXED, of_new_schema(7), of_new_schema(8), framed(kraken_raw(trade_id=8)))
    lake.run(lake.silver(KRAKEN))
    lake.registry.schemas[NEW_ID] = NEW_SCHEMA
    request = Request(REPLAY, "silver-kraken", {}, "replay-1")
    TableOwner(lake.silver(KRAKEN), settings).execute(request)
    lake.bronze(KRAKEN, framed(kraken_raw(trade_id=7)), first_offset=10)
    lake.run(lake.silver(KRAKEN))
    return lake


def differences(lake):
    def stored(table):
        return open_table(lake.settings.lake, table)

    scratch = scratch_settings(lake.settings, KRAKEN)
    ledger = stored(resolutions(KRAKEN))
    ends = newest_offsets(map(stored, TABLES))
    lists = InstrumentLists(lake.settings)
    Rebuild(KRAKEN, scratch, lake.registry, READER["kraken"], lists).run(
        stored(bronze_trades(KRAKEN)), ledger, ends
    )
    found = []
    for table in TABLES:
        history = ledger if table is TABLES[2] else None
        parts = ((part.partition, part.first, part.last) for part in slices(ends))
        rebuilt = open_table(scratch.lake, table)
        found.append(compare(table, stored(table), rebuilt, history, parts))
    return found


@pytest.mark.parametrize("step", [3, 100_000])
def test_unchanged_code_gives_what_is_stored(lake, monkeypatch, step):
    monkeypatch.setattr(rebuild, "STEP", step)

    found = differences(lake)

    assert [(one.live, one.is_equal) for one in found] == [(5, True), (3, True), (3, True)]


def test_a_touched_table_is_found_out(lake):
    silver = open_table(lake.settings.lake, TABLES[0])
    silver.delete('"offset" = 1')
    extra = lake.rows(TABLES[0])[0] | {"offset": 2}
    rows = (
        silver.to_pyarrow_table()
        .schema.empty_table()
        .from_pylist([extra], schema=silver.to_pyarrow_table().schema)
    )
    write_deltalake(silver, rows, mode="append")

    found = differences(lake)

    assert (found[0].added, found[0].removed) == (1, 1)
