"""The running balance finds what is missing or double, and nothing in what is on its way."""

from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from k2.bronze.table import bronze_trades
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES
from k2.gold.table import GOLD_TRADES
from k2.quality.recent_balance import RecentBalance
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.checkpoints.offset_log import OffsetLog, table_offset
from k2.storage.table import Table

pytestmark = pytest.mark.unit

EXCHANGE = EXCHANGES[0]
BRONZE, SILVER = bronze_trades(EXCHANGE), silver_trades(EXCHANGE)
DEAD, DOUBLE, RESOLVED = dead_letters(EXCHANGE), duplicates(EXCHANGE), resolutions(EXCHANGE)


@pytest.fixture
def balance(settings: Settings) -> RecentBalance:
    return RecentBalance(settings, EXCHANGE)


def put(
    balance: RecentBalance,
    table: Table,
    *offsets: int,
    partition: int = 0,
    configuration: dict[str, str | None] | None = None,
) -> None:
    """Append records of a table, of which only their place and exchange count here."""
    rows = pa.table(
        {
            "offset": pa.array(offsets, pa.int64()),
            "partition": pa.array([partition] * len(offsets), pa.int32()),
            "exchange": [EXCHANGE.name] * len(offsets),
        }
    )
    path = balance.settings.lake / table.name
    write_deltalake(path, rows, mode="append", configuration=configuration)


def twice(balance: RecentBalance) -> int:
    balance.differences()
    return balance.differences()


def test_a_lake_without_tables_balances(balance: RecentBalance) -> None:
    assert twice(balance) == 0


def test_records_that_are_all_somewhere_once_balance(balance: RecentBalance) -> None:
    put(balance, BRONZE, *range(6))
    put(balance, SILVER, 0, 1, 4)
    put(balance, DEAD, 2, 3)
    put(balance, DOUBLE, 5)
    put(balance, RESOLVED, 3)
    put(balance, SILVER, 3)
    put(balance, GOLD_TRADES, 0, 1, 3, 4)

    assert twice(balance) == 0


def test_what_is_on_its_way_is_no_difference(balance: RecentBalance) -> None:
    put(balance, BRONZE, *range(10))
    put(balance, SILVER, *range(7))
    put(balance, GOLD_TRADES, *range(3))

    assert twice(balance) == 0


@pytest.mark.parametrize(
    ("table", "offsets"),
    [
        pytest.param(BRONZE, (1,), id="double in Bronze"),
        pytest.param(SILVER, (1,), id="double in Silver"),
        pytest.param(DEAD, (1,), id="a trade and a dead letter"),
        pytest.param(GOLD_TRADES, (1,), id="double in Gold"),
        pytest.param(RESOLVED, (1,), id="resolved, and no dead letter"),
    ],
)
def test_a_record_too_many_is_a_difference(
    balance: RecentBalance, table: Table, offsets: tuple[int, ...]
) -> None:
    for stored in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, stored, *range(4))
    put(balance, table, *offsets)

    assert twice(balance) == 1


@pytest.mark.parametrize("lacking", [BRONZE, SILVER, GOLD_TRADES], ids=lambda table: table.name)
def test_a_record_that_is_missing_is_a_difference(balance: RecentBalance, lacking: Table) -> None:
    for stored in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, stored, *(o for o in range(4) if stored is not lacking or o != 1))

    assert twice(balance) == 1


def test_one_look_is_no_proof_and_one_that_came_after_all_is_forgotten(
    balance: RecentBalance,
) -> None:
    put(balance, BRONZE, *range(4))
    put(balance, SILVER, 0, 2, 3)

    first = balance.differences()
    put(balance, DEAD, 1)  # the same batch's next table

    assert first == 0
    assert twice(balance) == 0


def test_a_difference_stays_while_records_go_on(balance: RecentBalance) -> None:
    for stored in (BRONZE, GOLD_TRADES):
        put(balance, stored, *range(4))
    put(balance, SILVER, 0, 2, 3)
    twice(balance)

    for stored in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, stored, *range(4, 9))

    assert balance.differences() == 1


def test_partitions_are_counted_apart(balance: RecentBalance) -> None:
    put(balance, BRONZE, 0, 1, 2)
    put(balance, SILVER, 0, 1, 2)
    put(balance, BRONZE, 0, 1, partition=1)
    put(balance, SILVER, 1, partition=1)

    assert twice(balance) == 1


@pytest.mark.parametrize("all_of_them", [True, False])
def test_files_whose_offsets_the_log_does_not_say_are_looked_into(
    balance: RecentBalance, all_of_them: bool
) -> None:
    put(balance, BRONZE, 0, 1, 2, 3)
    put(balance, SILVER, 0, 1, configuration={"delta.dataSkippingNumIndexedCols": "0"})
    if not all_of_them:
        silver = DeltaTable(balance.settings.lake / SILVER.name)
        silver.alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "1"})
    put(balance, SILVER, 3)
    put(balance, GOLD_TRADES, 0, 1, 3)
    assert twice(balance) == 1


def test_files_that_were_looked_at_are_not_read_again(balance: RecentBalance) -> None:
    for table in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, table, *range(4))
    assert twice(balance) == 0
    for table in (SILVER, GOLD_TRADES):
        for file in (balance.settings.lake / table.name).glob("*.parquet"):
            file.write_bytes(b"not Parquet")
    for table in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, table, *range(4, 8))
    assert twice(balance) == 0


def commit(balance: RecentBalance, app: str, source: Table, batch: int) -> None:
    """Say that a stream has read all that a table has."""
    stored = DeltaTable(balance.settings.lake / source.name)
    log = OffsetLog(balance.settings.checkpoint(app))
    log.plan(batch, (table_offset(str(stored.metadata().id), stored.version() + 1),), 0, 0)
    log.commit(batch, 0)


def test_a_batch_that_is_in_one_of_silvers_tables_for_long_is_no_difference(
    balance: RecentBalance,
) -> None:
    for table in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, table, *range(4))
    commit(balance, f"silver-{EXCHANGE.name}/v1", BRONZE, 0)
    commit(balance, "gold/v1", SILVER, 0)
    put(balance, BRONZE, 4, 5)
    put(balance, SILVER, 5)  # and the dead letter 4 is about to be written

    on_its_way = [twice(balance) for _ in range(3)]
    commit(balance, f"silver-{EXCHANGE.name}/v1", BRONZE, 1)
    put(balance, BRONZE, 6)
    put(balance, SILVER, 6)

    assert on_its_way == [0, 0, 0]
    assert twice(balance) == 1


def test_a_batch_that_gold_has_a_part_of_is_no_difference(balance: RecentBalance) -> None:
    for table in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, table, *range(4))
    commit(balance, f"silver-{EXCHANGE.name}/v1", BRONZE, 0)
    commit(balance, "gold/v1", SILVER, 0)
    put(balance, BRONZE, 4, 5)
    put(balance, SILVER, 4, 5)
    commit(balance, f"silver-{EXCHANGE.name}/v1", BRONZE, 1)
    put(balance, GOLD_TRADES, 5)  # of two files of Silver the one

    on_its_way = twice(balance)
    commit(balance, "gold/v1", SILVER, 1)

    assert on_its_way == 0
    assert twice(balance) == 1


@pytest.fixture
def with_marker(balance: RecentBalance) -> RecentBalance:
    """All tables have the offsets 0, 1, 3 and 4."""
    for table in (BRONZE, SILVER, GOLD_TRADES):
        put(balance, table, 0, 1, 3, 4)
    return balance


@pytest.mark.parametrize(("in_kafka", "wrong"), [((0, 1, 3, 4), 0), ((0, 1, 2, 3, 4), 1)])
def test_an_offset_that_no_table_has_is_wrong_when_kafka_gives_its_record(
    with_marker: RecentBalance, in_kafka: tuple[int, ...], wrong: int
) -> None:
    asked: list[tuple[str, int, int, int]] = []

    def committed_offsets(*place: Any) -> list[int]:
        asked.append(place)
        return [offset for offset in in_kafka if place[2] <= offset < place[3]]

    with_marker.committed_offsets = committed_offsets

    assert twice(with_marker) == wrong
    assert asked == [(EXCHANGE.topic, 0, 2, 3)] * (1 + wrong)


def test_while_kafka_does_not_answer_nothing_is_said_of_an_offset_that_no_table_has(
    with_marker: RecentBalance,
) -> None:
    def no_answer(*_: Any) -> list[int]:
        raise UnavailableError("no answer")

    with_marker.committed_offsets = no_answer
    assert twice(with_marker) == 0

    with_marker.committed_offsets = lambda *_: [2]

    assert twice(with_marker) == 1
