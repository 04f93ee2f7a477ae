"""Reading stored tables: few files, the log's values and types, and a sentence for what is damaged."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.transaction import AddAction

from k2.errors import ContractError, TableDriftError
from k2.gold.table import GOLD_TRADES
from k2.sql import utc_database
from k2.storage.delta import ensure_table, open_table, table_path
from k2.storage.scan import Scan, scan, scan_table
from tests.support.stored_rows import store_gold

NINE = dt.datetime(2026, 7, 7, 9, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def gold(tmp_path: Path) -> DeltaTable:
    """Six files: three hours, and in each one of either market."""
    for hour in range(3):
        for symbol in ("BTC-USDT", "ETH-USDT"):
            at = [NINE + hour * HOUR + dt.timedelta(minutes=n) for n in range(10)]
            store_gold(tmp_path, *({"timestamp": t, "symbol": symbol} for t in at))
    stored = open_table(tmp_path, GOLD_TRADES)
    assert stored is not None
    return stored


@pytest.mark.parametrize(
    ("where", "files", "rows"),
    [
        ([], 6, 60),
        ([("exchange_hour", "=", 9)], 2, 20),
        ([("exchange_hour", "in", [9, 11])], 4, 40),
        ([("exchange_hour", "in", [])], 0, 0),
        ([("exchange_hour", ">", 9), ("symbol", "=", "BTC-USDT")], 2, 20),
        ([("exchange_date", "=", dt.date(2026, 7, 8))], 0, 0),
        ([("symbol", "in", ["BTC-USDT", "BTC-EUR"])], 3, 30),
        ([("timestamp", ">=", NINE + HOUR), ("timestamp", "<", NINE + 2 * HOUR)], 2, 20),
        ([("timestamp", "<=", NINE)], 2, 2),
        ([("timestamp", "<", NINE)], 0, 0),
        ([("price", "=", Decimal("61837.63"))], 6, 60),  # no statistics of it are kept
    ],
)
def test_only_files_that_can_hold_the_rows_are_read(
    gold: DeltaTable, where: list[Any], files: int, rows: int
) -> None:
    found = scan(gold, ["timestamp"], where)

    assert (len(found.files), found.table().num_rows) == (files, rows)


def test_columns_have_the_stored_types_in_the_order_asked_for(gold: DeltaTable) -> None:
    stored = pa.schema(gold.schema().to_arrow())

    found = scan(gold, ["exchange_hour", "price", "trade_conditions", "timestamp"]).table()

    assert found.schema == pa.schema([stored.field(name) for name in found.column_names])
    assert scan(gold).table().schema == stored


def test_batches_are_the_rows_in_the_order_of_the_files(gold: DeltaTable) -> None:
    found = scan(gold, ["platform_sequence"])

    parts = list(found.batches(rows=7))

    assert pa.Table.from_batches(parts) == found.table()


def test_a_table_that_does_not_exist_has_its_columns_and_no_rows(tmp_path: Path) -> None:
    found = scan_table(tmp_path, GOLD_TRADES)

    assert found.table().num_rows == 0
    assert found.schema.names == GOLD_TRADES.columns


def test_a_scan_stays_at_its_version(gold: DeltaTable, tmp_path: Path) -> None:
    before = scan(gold, ["timestamp"])

    store_gold(tmp_path, {"timestamp": NINE})

    assert before.table().num_rows == 60
    assert before.version == gold.version()


ODD = ["a:b/c", "ü %", "a=b", None, "x+y", "it's", "%25", "[a]*?"]


def odd_table(folder: Path) -> DeltaTable:
    """One partition for each odd text."""
    rows = pa.table(
        {"name": pa.array(ODD, pa.string()), "n": pa.array(range(len(ODD)), pa.int32())}
    )
    write_deltalake(folder, rows, partition_by=["name"])
    return DeltaTable(folder)


@pytest.mark.parametrize("folder", ["plain", "with space", "it's odd"])
def test_partition_values_are_those_of_the_log(tmp_path: Path, folder: str) -> None:
    found = scan(odd_table(tmp_path / folder)).table()

    assert dict(zip(found["n"].to_pylist(), found["name"].to_pylist(), strict=True)) == dict(
        enumerate(ODD)
    )


def test_partition_values_come_from_the_log_where_the_paths_do_not_tell(tmp_path: Path) -> None:
    table = odd_table(tmp_path)
    actions = []
    for add in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        place = tmp_path / unquote(add["path"])
        place.rename(tmp_path / place.name)
        value = add["partition.name"]
        actions.append(
            AddAction(
                place.name, add["size_bytes"], {"name": value}, add["modification_time"], True,
                json.dumps({"numRecords": 1}),
            )
        )  # fmt: skip
    table.create_write_transaction(
        actions, mode="overwrite", schema=table.schema(), partition_by=["name"]
    )

    found = scan(DeltaTable(tmp_path), where=[("n", ">=", 1)]).table()

    assert dict(zip(found["n"].to_pylist(), found["name"].to_pylist(), strict=True)) == dict(
        list(enumerate(ODD))[1:]
    )


def test_files_from_before_a_column_was_added_or_widened_are_read(tmp_path: Path) -> None:
    old = pa.table(
        {"n": pa.array([1], pa.int32()), "price": pa.array([Decimal("1.5")], pa.decimal128(18, 8))}
    )
    new_price = pa.decimal128(38, 14)
    new = pa.table(
        {
            "n": pa.array([2], pa.int32()),
            "price": pa.array([Decimal("2.00000000000001")], new_price),
            "kind": ["spot"],
        }
    )
    write_deltalake(tmp_path, old)
    write_deltalake(tmp_path, new, mode="overwrite", schema_mode="overwrite")
    table = DeltaTable(tmp_path)
    first = DeltaTable(tmp_path, version=0).get_add_actions(flatten=True)
    again = [
        AddAction(pa.table(first)["path"][0].as_py(), 1, {}, 0, True, json.dumps({"numRecords": 1}))
    ]
    table.create_write_transaction(again, mode="append", schema=table.schema(), partition_by=[])

    found = scan(DeltaTable(tmp_path)).table().sort_by("n")

    assert found.to_pylist() == [
        {"n": 1, "price": Decimal("1.5"), "kind": None},
        {"n": 2, "price": Decimal("2.00000000000001"), "kind": "spot"},
    ]
    assert found.schema.field("price").type == new_price


def test_a_time_in_statistics_may_be_cut_to_milliseconds(tmp_path: Path) -> None:
    at = NINE + dt.timedelta(microseconds=999)
    store_gold(tmp_path, {"timestamp": at})
    log = table_path(tmp_path, GOLD_TRADES) / "_delta_log" / f"{1:020}.json"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for entry in entries:
        if "add" in entry:  # as Spark writes it
            stats = json.loads(entry["add"]["stats"])
            stats["maxValues"]["timestamp"] = "2026-07-07T09:00:00.000Z"
            entry["add"]["stats"] = json.dumps(stats)
    log.write_text("\n".join(map(json.dumps, entries)))

    found = scan_table(tmp_path, GOLD_TRADES, ["timestamp"], [("timestamp", ">=", at)])

    assert found.table()["timestamp"].to_pylist() == [at]


def test_a_feature_that_changes_what_files_say_is_refused(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"n": [1]}))
    log = tmp_path / "_delta_log" / f"{0:020}.json"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for entry in entries:
        if "protocol" in entry:
            entry["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"],
            }
    log.write_text("\n".join(map(json.dumps, entries)))

    with pytest.raises(ContractError, match="deletionVectors, which K2 does not read"):
        scan(DeltaTable(tmp_path))


def damage(path: Path, how: str) -> None:
    """Do to a file what disks and people do."""
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "page":  # of the first column, at its header
        content = path.read_bytes()
        path.write_bytes(content[:4] + bytes(reversed(range(1, 250))) + content[253:])


@pytest.mark.parametrize(
    "read",
    [lambda found: found.table(), lambda found: list(found.batches())],
    ids=["table", "parts"],
)
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("gone", "lacks the file"),
        ("cut", "damaged"),
        ("empty", "damaged"),
        ("page", "damaged"),
    ],
)
def test_a_damaged_file_is_a_sentence_with_its_name(
    gold: DeltaTable, read: Callable[[Scan], Any], how: str, said: str
) -> None:
    found = scan(gold)
    damage(Path(found.files[3]), how)

    with pytest.raises(ContractError, match=f"Table gold_trades .*{said}") as caught:
        read(found)

    assert Path(found.files[3]).name in str(caught.value)


def test_a_view_of_a_missing_file_is_a_sentence_too(gold: DeltaTable) -> None:
    found = scan(gold, ["price"])
    damage(Path(found.files[0]), "gone")

    with pytest.raises(ContractError, match="Table gold_trades lacks the file"):
        found.create_view(utc_database(), "gold")


def test_a_column_that_an_older_table_lacks_is_named_with_the_remedy(tmp_path):
    older = replace(
        GOLD_TRADES,
        schema=pa.schema([f for f in GOLD_TRADES.schema if f.name != "trade_count"]),
        version=1,
    )
    stored = ensure_table(tmp_path, older)

    with pytest.raises(
        TableDriftError, match=r"gold_trades, of version 1, has no trade_count\. `k2"
    ):
        scan(stored, ["symbol", "trade_count"])
