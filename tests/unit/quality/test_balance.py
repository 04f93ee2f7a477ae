"""The balance holds on a good lake, and finds and names every planted defect."""

from datetime import timedelta

import pytest
from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.errors import ContractError
from k2.exchanges import EXCHANGES
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.quality.balance import balance
from k2.quality.offset_blocks import BLOCK
from k2.silver.tables import dead_letters
from tests.support.balanced_lake import (
    TOPIC,
    Broker,
    account,
    build,
    dead_letter,
    differences,
    gold_row,
    home_of,
    kraken,
    named,
)
from tests.support.trades import (
    BROKER_TIME,
    append,
    append_silver,
    bronze_row,
    silver_row,
)

pytestmark = pytest.mark.unit

# Bronze has offsets 0 to 4, and so has Kafka.
KAFKA = kraken((0, 5))


@pytest.fixture
def lake(settings):
    return settings.lake


def test_a_good_lake_balances(lake):
    found = account(build(lake), KAFKA)

    assert found.balanced
    assert found.public() == {
        "exchange": "kraken",
        "kafka": 5,
        "bronze": 5,
        "silver": 3,
        "dead_letters": 1,
        "duplicates": 1,
        "gold": 3,
        "resolved": 0,
        "in_flight": {"bronze": 0, "silver": 0, "gold": 0},
        "unproven": 0,
        "differences": [],
        "balanced": True,
    }


def test_without_a_broker_kafka_is_not_counted(lake):
    found = account(build(lake))

    assert found.balanced
    assert found.kafka is None


@pytest.mark.parametrize("kafka", [None, Broker({}), kraken((0, 0), (0, 0))])
def test_a_lake_without_tables_balances(lake, kafka):
    found = balance(home_of(lake), EXCHANGES, kafka)

    assert [one.balanced for one in found] == [True] * len(EXCHANGES)
    assert {one.bronze for one in found} == {0}


DEFECTS = {
    "missing in Gold": (
        {"gold": (0, 2)},
        {"in Silver, but not in Gold": named(1)},
    ),
    "doubled in Gold": (
        {"gold": (0, 1, 1, 2)},
        {"in Gold more than once": named(1)},
    ),
    "in Gold from nowhere": (
        {"gold": (0, 1, 2, 3)},
        {"in Gold, but not in Silver": named(3)},
    ),
    "doubled in Silver": (
        {"silver": (0, 1, 1, 2), "gold": (0, 1, 2)},
        {"in Silver, dead letters or duplicates more than once": named(1)},
    ),
    "in Silver and a dead letter": (
        {"dead": (2, 3)},
        {"in Silver, dead letters or duplicates more than once": named(2)},
    ),
    "a dead letter and a duplicate": (
        {"dup": (3, 4)},
        {"in Silver, dead letters or duplicates more than once": named(3)},
    ),
    "judged by nobody": (
        {"dead": ()},
        {"in Bronze, but in none of Silver, dead letters and duplicates": named(3)},
    ),
    "judged without having been read": (
        {"dup": (4, 9)},
        {"in Silver, dead letters or duplicates, but not in Bronze": named(9)},
    ),
    "doubled in Bronze": (
        {"bronze": (0, 1, 2, 3, 3, 4)},
        {"in Bronze more than once": named(3)},
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
@pytest.mark.parametrize("kafka", [None, KAFKA], ids=["tables alone", "with Kafka"])
def test_a_planted_defect_is_found_and_named(lake, name, kafka):
    changes, wanted = DEFECTS[name]

    found = account(build(lake, **changes), kafka)

    assert differences(found) == wanted
    assert not found.balanced


def test_a_gap_in_bronze_is_found_without_a_broker(lake):
    build(lake, bronze=(0, 1, 3, 4), silver=(0, 1))

    found = account(lake)

    assert differences(found) == {"between Bronze's offsets, but not in Bronze": named(2)}


def test_a_kafka_that_is_ahead_is_in_flight(lake):
    found = account(build(lake), kraken((0, 7)))

    assert found.balanced
    assert found.in_flight == {"bronze": 2, "silver": 0, "gold": 0}
    assert found.kafka == 7


def test_a_partition_that_bronze_has_not_begun_is_in_flight(lake):
    found = account(build(lake), kraken((0, 5), (4, 6)))

    assert found.balanced
    assert found.in_flight["bronze"] == 2


def test_a_record_that_kafka_has_and_bronze_passed_is_missing(lake):
    build(lake, bronze=(0, 1, 3, 4), silver=(0, 1))

    found = account(lake, Broker({TOPIC: {0: (0, 5)}}, range(5)))

    assert differences(found) == {"in Kafka, but not in Bronze": named(2)}
    assert (found.kafka, found.bronze) == (5, 4)


def test_an_offset_without_a_record_is_no_difference_and_is_asked_for_once(lake):
    build(lake, bronze=(0, 1, 3, 4), silver=(0, 1))
    broker = Broker({TOPIC: {0: (0, 5)}}, (0, 1, 3, 4))

    found = [account(lake, broker), account(lake, broker)]

    assert [one.balanced for one in found] == [True, True]
    assert [one.kafka for one in found] == [4, 4]
    assert broker.asked == [(0, 2, 3)]
    assert account(lake).balanced


def test_a_row_that_bronze_lost_after_its_range_was_verified_is_missing(lake):
    build(lake, bronze=(0, 1, 3, 4), silver=(0, 1))
    account(lake, Broker({TOPIC: {0: (0, 5)}}, (0, 1, 3, 4)))
    DeltaTable(lake / bronze_trades(KRAKEN).name).delete('"offset" = 1')

    found = account(lake, Broker({TOPIC: {0: (0, 5)}}, (0, 1, 3, 4)))

    assert differences(found)["in Kafka, but not in Bronze"] == named(1)


def test_an_offset_that_kafka_no_longer_has_is_unproven(lake):
    build(lake, bronze=(0, 1, 3, 4), silver=(0, 1))

    found = account(lake, kraken((4, 5)))

    assert found.balanced
    assert found.unproven == 1


def test_what_was_gone_before_bronze_began_is_no_backlog_and_no_difference(lake):
    first = 5_000_000_000
    rows = [bronze_row(KRAKEN, b"x", first + offset) for offset in range(3)]
    append(lake, bronze_trades(KRAKEN), rows)
    append_silver(lake, KRAKEN, [silver_row(KRAKEN, first + offset) for offset in range(3)])
    append(lake, GOLD_TRADES, [gold_row(KRAKEN, first + offset) for offset in range(3)])

    for broker in (kraken((first, first + 3)), kraken((first + 2, first + 3)), None):
        assert account(lake, broker).balanced


def test_records_that_retention_removed_before_bronze_read_them_are_found(lake):
    found = account(build(lake), kraken((6, 6)))

    assert differences(found) == {"deleted by Kafka before Bronze had read them": named(5)}


def test_records_that_retention_removed_afterwards_are_no_defect(lake):
    assert account(build(lake), kraken((5, 5))).balanced


def test_a_topic_made_anew_is_found(lake):
    found = account(build(lake), kraken((0, 3)))

    assert differences(found) == {"in Bronze, but not in Kafka (a topic made anew?)": named(3, 4)}


def test_a_topic_that_is_gone_is_found(lake):
    found = account(build(lake), Broker({}))

    assert differences(found) == {
        "in Bronze, but not in Kafka (a topic made anew?)": named(0, 1, 2, 3, 4)
    }


def test_many_differences_are_counted_whole_and_the_first_are_named(lake):
    build(lake, bronze=range(500), silver=(0,), dead=(), dup=())

    (difference,) = account(lake).differences

    assert difference.count == 499
    assert difference.records == named(*range(1, 21))


def test_differences_far_apart_are_all_found(lake):
    far = 10 * BLOCK
    rows = [bronze_row(KRAKEN, b"x", offset) for offset in (0, far)]
    append(lake, bronze_trades(KRAKEN), rows)
    append(lake, dead_letters(KRAKEN), [dead_letter(far + 1)])

    found = account(lake, Broker({TOPIC: {0: (0, far + 2)}}, (0, 7, far)))

    assert differences(found) == {
        "in Kafka, but not in Bronze": named(7),
        "in Bronze, but in none of Silver, dead letters and duplicates": named(0, far),
        "in Silver, dead letters or duplicates, but not in Bronze": named(far + 1),
    }
    assert found.in_flight["bronze"] == 1


def test_a_data_file_that_is_gone_is_one_sentence(lake):
    build(lake)
    next((lake / bronze_trades(KRAKEN).name).rglob("*.parquet")).unlink()

    with pytest.raises(ContractError, match="lacks the file"):
        account(lake)


def test_a_home_with_a_space_and_a_hash_in_its_path_balances(tmp_path):
    lake = tmp_path / "my home #1" / "lake"

    assert account(build(lake), KAFKA).balanced


def test_one_exchange_answers_for_itself_alone(lake):
    build(lake, gold=(0,))
    append(lake, bronze_trades(BINANCE), [bronze_row(BINANCE, b"x", 0)])
    append_silver(lake, BINANCE, [silver_row(BINANCE, 0)])
    append(lake, GOLD_TRADES, [gold_row(BINANCE, 0)])

    found = {one.exchange: one.balanced for one in balance(home_of(lake), (BINANCE, KRAKEN))}

    assert found == {"binance": True, "kraken": False}


def test_the_same_offset_of_another_partition_is_another_record(lake):
    rows = [bronze_row(KRAKEN, b"x", 0, partition=partition) for partition in (0, 1)]
    append(lake, bronze_trades(KRAKEN), rows)
    append_silver(lake, KRAKEN, [silver_row(KRAKEN, 0, partition=1)])
    append(lake, GOLD_TRADES, [gold_row(KRAKEN, 0) | {"partition": 1}])

    found = account(lake)

    assert differences(found) == {
        "in Bronze, but in none of Silver, dead letters and duplicates": named(0)
    }


def test_when_a_record_came_is_of_no_account(lake):
    build(lake)
    append(
        lake,
        bronze_trades(KRAKEN),
        [bronze_row(KRAKEN, b"x", 5, kafka_timestamp=BROKER_TIME - timedelta(days=9))],
    )

    found = account(lake)

    assert differences(found) == {
        "in Bronze, but in none of Silver, dead letters and duplicates": named(5)
    }
