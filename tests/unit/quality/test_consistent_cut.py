"""Beside running streams: what a stream has not committed is in flight, what it has must be there."""

import pytest

from k2.bronze.table import bronze_trades
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import dead_letters, silver_trades
from k2.storage.delta import ensure_table
from tests.support.balanced_lake import (
    TOPIC,
    Broker,
    account,
    bronze,
    commit,
    commit_kafka,
    dead_letter,
    differences,
    gold_row,
    kraken,
    named,
)
from tests.support.trades import append, append_silver, silver_row

pytestmark = pytest.mark.unit


@pytest.fixture
def home(settings):
    """A home whose three steps have each committed the offsets 0 to 4."""
    lake = settings.lake
    bronze(settings, *range(5))
    silver(settings, *range(5))
    gold(settings, *range(5))
    commit_kafka(settings, 5)
    commit(settings, "silver-kraken/v1", bronze_trades(KRAKEN))
    commit(settings, "gold/v1", silver_trades(KRAKEN))
    assert account(lake, kraken((0, 5))).balanced
    return settings


def silver(settings, *offsets):
    append_silver(settings.lake, KRAKEN, [silver_row(KRAKEN, offset) for offset in offsets])


def gold(settings, *offsets):
    append(settings.lake, GOLD_TRADES, [gold_row(KRAKEN, offset) for offset in offsets])


def test_what_each_step_has_not_committed_is_in_flight(home):
    bronze(home, 5, 6, 7)
    silver(home, 5)

    found = account(home.lake, kraken((0, 10)))

    assert found.balanced
    assert found.in_flight == {"bronze": 2, "silver": 2, "gold": 1}


def test_a_batch_that_is_in_one_of_silvers_tables_is_in_flight(home):
    bronze(home, 5, 6)
    append(home.lake, dead_letters(KRAKEN), [dead_letter(6)])

    found = account(home.lake)

    assert found.balanced
    assert found.in_flight["silver"] == 1


def test_what_was_committed_and_is_not_there_is_missing(home):
    bronze(home, 5, 6)
    commit_kafka(home, 8, batch=1)
    silver(home, 5)
    commit(home, "silver-kraken/v1", bronze_trades(KRAKEN), batch=1)
    commit(home, "gold/v1", silver_trades(KRAKEN), batch=1)
    bronze(home, 8)

    found = account(home.lake, Broker({TOPIC: {0: (0, 9)}}, range(9)))

    assert differences(found) == {
        "in Kafka, but not in Bronze": named(7),
        "in Bronze, but in none of Silver, dead letters and duplicates": named(6),
        "in Silver, but not in Gold": named(5),
    }
    assert found.in_flight == {"bronze": 0, "silver": 1, "gold": 0}


def test_what_is_there_twice_is_a_difference_though_it_is_in_flight(home):
    bronze(home, 5, 5)
    silver(home, 5, 5)

    found = account(home.lake)

    assert set(differences(found)) == {
        "in Bronze more than once",
        "in Silver, dead letters or duplicates more than once",
    }


def test_a_bronze_that_began_at_a_later_offset_lacks_nothing_before_it(home):
    commit_kafka(home, 5, first=3)

    assert account(home.lake, kraken((0, 5))).balanced


def test_the_offsets_that_a_checkpoint_names_must_be_there_without_a_broker(home):
    commit_kafka(home, 7, batch=1)

    found = account(home.lake)

    assert differences(found) == {"between Bronze's offsets, but not in Bronze": named(5, 6)}


def test_a_compaction_puts_nothing_in_flight(home):
    bronze(home, 5)
    silver(home, 5)
    gold(home, 5)
    commit(home, "silver-kraken/v1", bronze_trades(KRAKEN), batch=1)
    commit(home, "gold/v1", silver_trades(KRAKEN), batch=1)

    for table in (bronze_trades(KRAKEN), silver_trades(KRAKEN)):
        ensure_table(home.lake, table).optimize.compact()

    found = account(home.lake)
    assert found.balanced
    assert set(found.in_flight.values()) == {0}
