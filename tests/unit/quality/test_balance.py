"""The balance holds on a good lake, and finds and names every planted defect."""

from datetime import timedelta

import pytest

from k2.bronze.table import bronze_trades
from k2.exchanges import EXCHANGES
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.quality.balance import balance
from k2.silver.tables import dead_letters, duplicates
from tests.support.trades import (
    BROKER_TIME,
    append,
    append_bronze,
    append_silver,
    bronze_row,
    silver_row,
)

pytestmark = pytest.mark.unit

TOPIC = KRAKEN.topic
SILVER_OFFSETS, DEAD, DUPLICATE = (0, 1, 2), (3,), (4,)
# Bronze has offsets 0 to 4, and so has Kafka.
MARKS = {TOPIC: {0: (0, 5)}, BINANCE.topic: {}}


def dead_letter(offset):
    return {
        "raw_record": b"x",
        "error_type": "decode",
        "error_reasons": ["wrong_magic_byte"],
        "stage": "silver",
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
        "schema_id": None,
        "kafka_timestamp": BROKER_TIME,
        "error_timestamp": BROKER_TIME,
        "dlq_date": BROKER_TIME.date(),
    }


def duplicate(offset):
    return {
        "message_id": "m",
        "reason": "repeated",
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
        "kafka_timestamp": BROKER_TIME,
        "dup_date": BROKER_TIME.date(),
    }


def gold_row(exchange, offset):
    row = silver_row(exchange, offset)
    del row["schema_id"]
    return row | {"trade_value_usd": None, "is_late": False, "exchange_hour": 9}


def build(lake, bronze=range(5), silver=SILVER_OFFSETS, dead=DEAD, dup=DUPLICATE, gold=None):
    """Write a lake; what is not said is right."""
    append(lake, bronze_trades(KRAKEN), [bronze_row(KRAKEN, b"x", o) for o in bronze])
    append_silver(lake, KRAKEN, [silver_row(KRAKEN, offset) for offset in silver])
    append(lake, dead_letters(KRAKEN), [dead_letter(offset) for offset in dead])
    append(lake, duplicates(KRAKEN), [duplicate(offset) for offset in dup])
    in_gold = silver if gold is None else gold
    append(lake, GOLD_TRADES, [gold_row(KRAKEN, offset) for offset in in_gold])
    return lake


def account(lake, kafka=None):
    (found,) = balance(lake, [KRAKEN], kafka)
    return found


def named(*offsets):
    return [f"{TOPIC}-0@{offset}" for offset in offsets]


def differences(found):
    return {difference.what: difference.records for difference in found.differences}


def test_a_good_lake_balances(tmp_path):
    found = account(build(tmp_path), MARKS)

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
        "differences": [],
        "balanced": True,
    }


def test_without_a_broker_kafka_is_not_counted(tmp_path):
    found = account(build(tmp_path))

    assert found.balanced
    assert found.kafka is None


@pytest.mark.parametrize(
    "kafka", [None, MARKS | {TOPIC: {}}, MARKS | {TOPIC: {0: (0, 0), 1: (0, 0)}}]
)
def test_a_lake_without_tables_balances(tmp_path, kafka):
    found = balance(tmp_path, EXCHANGES, kafka)

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
@pytest.mark.parametrize("kafka", [None, MARKS], ids=["tables alone", "with Kafka"])
def test_a_planted_defect_is_found_and_named(tmp_path, name, kafka):
    changes, wanted = DEFECTS[name]

    found = account(build(tmp_path, **changes), kafka)

    assert differences(found) == wanted
    assert not found.balanced


def test_a_gap_in_bronze_is_found_without_a_broker(tmp_path):
    lake = build(tmp_path, bronze=(0, 1, 3, 4), silver=(0, 1))

    found = account(lake)

    assert differences(found) == {"between Bronze's offsets, but not in Bronze": named(2)}


def test_a_bronze_that_does_not_begin_at_the_first_offset_is_found(tmp_path):
    lake = build(tmp_path, bronze=(2, 3, 4), silver=(2,))

    found = account(lake)

    assert differences(found) == {"between Bronze's offsets, but not in Bronze": named(0, 1)}


def test_a_kafka_that_is_ahead_is_found(tmp_path):
    found = account(build(tmp_path), {TOPIC: {0: (0, 7)}})

    assert differences(found) == {"in Kafka, but not in Bronze": named(5, 6)}
    assert found.kafka == 7


def test_a_partition_that_bronze_never_read_is_found(tmp_path):
    found = account(build(tmp_path), {TOPIC: {0: (0, 5), 1: (0, 2)}})

    assert differences(found) == {"in Kafka, but not in Bronze": [f"{TOPIC}-1@0", f"{TOPIC}-1@1"]}


def test_records_that_retention_removed_before_bronze_read_them_are_found(tmp_path):
    found = account(build(tmp_path), {TOPIC: {0: (6, 6)}})

    assert differences(found) == {"in Kafka, but not in Bronze": named(5)}


def test_records_that_retention_removed_afterwards_are_no_defect(tmp_path):
    assert account(build(tmp_path), {TOPIC: {0: (5, 5)}}).balanced


def test_a_topic_made_anew_is_found(tmp_path):
    found = account(build(tmp_path), {TOPIC: {0: (0, 3)}})

    assert differences(found) == {"in Bronze, but not in Kafka (a topic made anew?)": named(3, 4)}


def test_a_topic_that_is_gone_is_found(tmp_path):
    found = account(build(tmp_path), {TOPIC: {}})

    assert differences(found) == {
        "in Bronze, but not in Kafka (a topic made anew?)": named(0, 1, 2, 3, 4)
    }


def test_many_differences_are_counted_whole_and_the_first_are_named(tmp_path):
    append_bronze(tmp_path, KRAKEN, [b"x"] * 500)

    (difference,) = account(tmp_path).differences

    assert difference.count == 500
    assert difference.records == named(*range(20))


def test_one_exchange_answers_for_itself_alone(tmp_path):
    build(tmp_path, gold=(0,))
    append(tmp_path, bronze_trades(BINANCE), [bronze_row(BINANCE, b"x", 0)])
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 0)])
    append(tmp_path, GOLD_TRADES, [gold_row(BINANCE, 0)])

    found = {one.exchange: one.balanced for one in balance(tmp_path, (BINANCE, KRAKEN))}

    assert found == {"binance": True, "kraken": False}


def test_the_same_offset_of_another_partition_is_another_record(tmp_path):
    rows = [bronze_row(KRAKEN, b"x", 0, partition=partition) for partition in (0, 1)]
    append(tmp_path, bronze_trades(KRAKEN), rows)
    append_silver(tmp_path, KRAKEN, [silver_row(KRAKEN, 0, partition=1)])
    append(tmp_path, GOLD_TRADES, [gold_row(KRAKEN, 0) | {"partition": 1}])

    found = account(tmp_path)

    assert differences(found) == {
        "in Bronze, but in none of Silver, dead letters and duplicates": named(0)
    }


def test_when_a_record_came_is_of_no_account(tmp_path):
    build(tmp_path)
    append(
        tmp_path,
        bronze_trades(KRAKEN),
        [bronze_row(KRAKEN, b"x", 5, kafka_timestamp=BROKER_TIME - timedelta(days=9))],
    )

    found = account(tmp_path)

    assert differences(found) == {
        "in Bronze, but in none of Silver, dead letters and duplicates": named(5)
    }
