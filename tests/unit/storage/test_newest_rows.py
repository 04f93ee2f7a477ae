"""The newest rows are found in few files, whatever the files' order and statistics."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from k2.gold.table import GOLD_TRADES
from k2.storage import newest_rows as module
from k2.storage.delta import open_table, table_path
from k2.storage.newest_rows import newest_rows
from k2.storage.scan import scan
from tests.support.stored_rows import store_gold

NINE = dt.datetime(2026, 7, 7, 9, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, as they are."""
    seen: list[str] = []

    def noted(*arguments: Any, **named: Any) -> Any:
        planned = scan(*arguments, **named)
        seen.extend(planned.files)
        return planned

    monkeypatch.setattr(module, "scan", noted)
    return seen


def gold(lake: Path, files: int = 20) -> DeltaTable:
    """Ten trades a file, one a minute, the newest file first; every second file is of ETH."""
    for number in reversed(range(files)):
        symbol = ("BTC-USDT", "ETH-USDT")[number % 2]
        times = [NINE + (10 * number + n) * MINUTE for n in range(10)]
        store_gold(lake, *({"timestamp": time, "symbol": symbol} for time in times))
    stored = open_table(lake, GOLD_TRADES)
    assert stored is not None
    return stored


@pytest.mark.parametrize(
    ("limit", "where", "first", "files"),
    [
        (5, [], 199, 1),
        (10, [], 199, 1),
        (15, [], 199, 2),
        (5, [("symbol", "=", "BTC-USDT")], 189, 1),
        (5, [("timestamp", "<", NINE + 45 * MINUTE)], 44, 1),
    ],
)
def test_only_the_newest_files_are_read(
    tmp_path: Path, opened: list[str], limit: int, where: list[Any], first: int, files: int
) -> None:
    stored = gold(tmp_path)

    found = newest_rows(stored, ["timestamp", "offset"], limit, ["timestamp"], where)

    assert found["timestamp"][0].as_py() == NINE + first * MINUTE
    assert (found.num_rows, len(set(opened))) == (limit, files)


def test_rows_of_overlapping_files_are_found(tmp_path: Path) -> None:
    stored = gold(tmp_path, files=3)
    store_gold(tmp_path, *({"timestamp": NINE + n * MINUTE} for n in (0, 29, 500)))
    stored.update_incremental()

    found = newest_rows(stored, ["timestamp", "offset"], 4, ["timestamp"])

    assert found["timestamp"].to_pylist() == [NINE + n * MINUTE for n in (500, 29, 29, 28)]


def test_files_without_statistics_are_read_too(tmp_path: Path) -> None:
    gold(tmp_path, files=4)
    logs = sorted((table_path(tmp_path, GOLD_TRADES) / "_delta_log").glob("*.json"))
    logs[1].write_text(logs[1].read_text().replace('"stats":', '"was":'))  # of the newest file

    stored = open_table(tmp_path, GOLD_TRADES)
    assert stored is not None
    found = newest_rows(stored, ["timestamp"], 3, ["timestamp"])

    assert found["timestamp"][0].as_py() == NINE + 39 * MINUTE


def test_fewer_rows_than_asked_for_are_all(tmp_path: Path) -> None:
    assert newest_rows(gold(tmp_path, files=2), ["timestamp"], 99).num_rows == 20


def test_an_empty_table_has_none(tmp_path: Path) -> None:
    stored = gold(tmp_path, files=1)

    assert newest_rows(stored, ["timestamp"], 5, where=[("symbol", "=", "X")]).num_rows == 0
