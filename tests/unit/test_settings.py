"""Homes that a library below could not open are refused by name; all others are as they are set."""

import os
import re
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from k2.errors import ConfigError
from k2.settings import Settings

pytestmark = pytest.mark.unit

ODD = ["a b", "a%b", "a#b", "aüb", "交易", "a?b", "a'b", 'a"b', "a{b}", "a+b", "100% #1 ü"]


@pytest.mark.parametrize("name", ODD)
def test_a_table_in_a_home_of_an_odd_name_is_written_and_read(tmp_path, name):
    settings = Settings.load(home=tmp_path / name)
    folder = settings.lake / "gold_trades"
    rows = pa.table({"symbol": ["BTC-USDT", "ETH-USDT"], "day": ["1", "2"]})

    write_deltalake(folder, rows, partition_by=["day"])

    assert folder.is_dir()
    gold = DeltaTable(folder).to_pyarrow_dataset()
    assert duckdb.sql("select count(*) from gold").fetchall() == [(2,)]
    # As README reads it.
    found = pl.scan_pyarrow_dataset(gold).filter(pl.col("symbol") == "BTC-USDT").collect()
    assert found.height == 1


@pytest.mark.parametrize(
    ("name", "odd"),
    [("a[b", "'['"), ("a]b", "']'"), ("a%20b", "'%20'"), ("a\\b", r"'\\'"), ("a\nb", r"'\n'")],
)
def test_a_home_that_deltas_library_could_not_open_is_refused(tmp_path, name, odd):
    with pytest.raises(ConfigError, match=re.escape(f"{odd} may not be in its name")):
        Settings.load(home=tmp_path / name)


def test_a_home_whose_name_is_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not in UTF-8"):
        Settings.load(home=Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")))


def test_a_home_beyond_ascii_is_refused_where_python_takes_it_for_another(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")

    with pytest.raises(ConfigError, match="file names for iso8859-1; set PYTHONUTF8=1"):
        Settings.load(home=tmp_path / "ü")
    assert Settings.load(home=tmp_path / "u").home == tmp_path / "u"


def test_a_user_without_a_home_folder_is_told_to_name_one(monkeypatch):
    def nobody(path):
        if str(path).startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return path

    monkeypatch.setattr(Path, "expanduser", nobody)

    with pytest.raises(ConfigError, match=r"K2_JAR_CACHE=.*nobody knows the home.*set HOME"):
        Settings.load(home="/k2")
