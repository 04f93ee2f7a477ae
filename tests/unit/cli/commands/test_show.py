"""What ``k2 show`` prints for programs, and what reading commands say of a table that lacks a file."""

import json
from collections.abc import Callable

import pytest

from k2.bronze.table import bronze_trades
from k2.exchanges.binance import BINANCE
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.delta import table_path
from k2.storage.table import Table
from tests.support.trades import append_bronze, append_silver, silver_row

pytestmark = pytest.mark.unit

VALUE = b"\x00\x00\x00\x00\x07'quoted' \xff"


def delete_a_file(settings: Settings, table: Table) -> str:
    file = next(table_path(settings.lake, table).rglob("*.parquet"))
    file.unlink()
    return file.name


def test_bytes_are_hexadecimal_in_json(k2: Callable, home):
    append_bronze(Settings.load().lake, BINANCE, [VALUE])

    (row,) = json.loads(k2("show", "bronze_binance_trades", "--json").out)

    assert bytes.fromhex(row["value"]) == VALUE


@pytest.mark.parametrize(
    ("table", "command"),
    [
        (silver_trades(BINANCE), ("show", "silver_binance_trades")),
        (silver_trades(BINANCE), ("show", "silver_binance_trades", "--json")),
        (silver_trades(BINANCE), ("balance", "--tables-only")),
        (bronze_trades(BINANCE), ("balance", "--tables-only")),
    ],
)
def test_a_table_that_lacks_a_file_is_a_sentence_that_names_both(k2, home, table, command):
    settings = Settings.load()
    append_bronze(settings.lake, BINANCE, [VALUE])
    append_silver(settings.lake, BINANCE, [silver_row(BINANCE, 0)])
    file = delete_a_file(settings, table)

    said = k2(*command)

    assert said.code == 1
    assert said.err.startswith(f"k2: Table {table.name} lacks the file ")
    assert file in said.err
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1
