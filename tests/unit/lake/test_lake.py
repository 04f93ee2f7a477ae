"""``k2.Lake``: trades, bars and tables as relations, each at one version, from few files."""

import datetime as dt
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import k2
from k2.errors import ConfigError, ContractError
from tests.support.stored_rows import store_bars, store_gold

pytestmark = pytest.mark.unit

NINE = dt.datetime(2026, 7, 7, 9, 0, tzinfo=dt.UTC)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Ten trades an hour for three hours of two days, of two markets: twelve files."""
    for day in (0, 1):
        for hour in range(3):
            start = NINE + dt.timedelta(days=day) + hour * HOUR
            for exchange, symbol in (("binance", "BTC-USDT"), ("kraken", "BTC-USD")):
                market = {"exchange": exchange, "symbol": symbol}
                trades = [{**market, "timestamp": start + n * MINUTE} for n in range(10)]
                store_gold(tmp_path / "lake", *trades)
    return tmp_path


@pytest.fixture
def lake(home: Path) -> Iterator[k2.Lake]:
    with k2.Lake(home) as opened:
        yield opened


@pytest.mark.parametrize(
    ("arguments", "exchange", "files", "rows"),
    [
        ((), None, 12, 120),
        (("BTC-USDT",), None, 6, 60),
        (("btc-usdt",), "binance", 6, 60),
        (("BTC-USDT",), "kraken", 0, 0),
        (("BTC-USDT", NINE, NINE + HOUR), None, 1, 10),
        (("BTC-USDT", NINE, NINE + 5 * MINUTE), None, 1, 5),
        ((None, "2026-07-07", "2026-07-08"), None, 6, 60),
        ((None, dt.date(2026, 7, 8)), "kraken", 3, 30),
        ((None, None, "2026-07-07T10:00"), "kraken", 1, 10),
        ((None, "2026-07-07T12:00+02:00", "2026-07-07T13:00+02:00"), "kraken", 1, 10),
        ((None, "2026-07-09"), None, 0, 0),
        ((None, NINE, NINE), None, 0, 0),
        ((None, "0001-01-01", "0001-01-01"), None, 0, 0),
        ((None, "0001-01-01", "9999-12-31T23:59:59"), None, 12, 120),
    ],
)
def test_trades_are_read_from_the_files_that_can_hold_them(
    lake: k2.Lake, arguments: tuple[Any, ...], exchange: str | None, files: int, rows: int
) -> None:
    found = lake.trades(*arguments, exchange=exchange)

    assert (len(found.files), found.arrow().read_all().num_rows) == (files, rows)


def test_files_without_statistics_are_pruned_by_their_hour(home: Path) -> None:
    for log in (home / "lake" / "gold_trades" / "_delta_log").glob("*.json"):
        log.write_text(log.read_text().replace('"stats":', '"was":'))

    found = k2.Lake(home).trades("BTC-USDT", NINE, NINE + HOUR)

    assert (len(found.files), found.arrow().read_all().num_rows) == (2, 10)


def test_a_relation_stays_at_its_version(lake: k2.Lake, home: Path) -> None:
    before = lake.trades("BTC-USDT")

    store_gold(home / "lake", {"timestamp": NINE, "symbol": "BTC-USDT"})

    after = lake.trades("BTC-USDT")
    assert [r.arrow().read_all().num_rows for r in (before, before, after)] == [60, 60, 61]
    assert after.versions["gold_trades"] == before.versions["gold_trades"] + 1


def test_rows_come_to_every_library(lake: k2.Lake) -> None:
    found = lake.trades("BTC-USDT", NINE, NINE + HOUR, columns=["timestamp", "price"])

    reader = found.arrow(batch_rows=4)
    frame = found.to_polars()
    relation = found.to_duckdb()

    assert isinstance(reader, pa.RecordBatchReader)
    assert sum(batch.num_rows for batch in reader) == 10
    assert frame.schema["timestamp"] == pl.Datetime("us", "UTC")
    assert frame["price"].to_list() == [Decimal("61837.63")] * 10
    assert relation.aggregate("min(timestamp)::text").fetchall() == [("2026-07-07 09:00:00+00",)]
    assert pl.DataFrame(found).equals(frame)


def test_a_library_that_is_not_there_is_a_sentence(
    lake: k2.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ConfigError, match="pandas is not installed; `pip install pandas`"):
        lake.trades().to_pandas()


def test_trades_say_what_their_asset_is_called(home: Path) -> None:
    store_gold(home / "lake", {"symbol": "ETH-BTC-PERP"}, {"symbol": "UNHEARDOF-USD"})

    with k2.Lake(home) as lake:
        trades = lake.trades(columns=["asset_name", "price", "symbol"]).arrow().read_all()
        all_columns = lake.trades().schema.names

    assert trades.column_names == ["asset_name", "price", "symbol"]
    named = {(row["symbol"], row["asset_name"]) for row in trades.to_pylist()}
    assert named == {
        ("BTC-USDT", "Bitcoin"),
        ("BTC-USD", "Bitcoin"),
        ("ETH-BTC-PERP", "Ethereum"),
        ("UNHEARDOF-USD", None),
    }
    assert all_columns[-1] == "asset_name"


def test_an_asset_s_name_can_be_had_without_its_symbol(lake: k2.Lake) -> None:
    assert lake.trades(columns=["asset_name"]).schema.names == ["asset_name"]


def test_a_query_over_gold_may_ask_for_assets_by_name(lake: k2.Lake) -> None:
    (row,) = (
        lake.sql("select count(*) as n from gold where asset_name = 'Bitcoin'")
        .arrow()
        .read_all()
        .to_pylist()
    )

    assert row["n"] == 120


def test_the_stored_table_is_shown_as_it_is_stored(lake: k2.Lake) -> None:
    stored = lake.table("gold_trades").schema.names

    assert "asset_name" not in stored
    assert lake.sql("select * from gold_trades").schema.names == stored


def test_bars_are_of_one_length_and_time(lake: k2.Lake, home: Path) -> None:
    trades = [{"timestamp": NINE + n * MINUTE} for n in range(90)]
    store_bars(home / "lake", *trades)

    minutes = lake.bars("BTC-USDT", "1m", NINE + HOUR, NINE + 2 * HOUR, exchange="binance")
    hours = lake.bars("BTC-USDT", "1h")

    assert minutes.arrow().read_all().num_rows == 30
    assert hours.to_polars()["trade_count"].to_list() == [60, 30]
    assert {len(minutes.files), len(hours.files)} == {1}


def test_any_table_can_be_read(lake: k2.Lake) -> None:
    assert lake.tables() == ["gold_trades"]
    assert lake.table("gold_trades", columns=["symbol"]).schema.names == ["symbol"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda lake: lake.table("gold"), "no table 'gold' in .*Tables: gold_trades"),
        (lambda lake: lake.table("../lake/gold_trades"), "no table"),
        (lambda lake: lake.trades(columns=["prize"]), "no column 'prize'. Columns: message_id"),
        (lambda lake: lake.trades(exchange="nasdaq"), "Unknown exchange 'nasdaq'. Known: binance"),
        (lambda lake: lake.trades(start="yesterday"), "'yesterday' is no time"),
        (lambda lake: lake.bars("BTC-USDT", "2m"), "no bars of '2m'. Lengths: 1m, 5m"),
        (lambda lake: lake.bars("BTC-USDT"), "no table 'gold_ohlcv'"),
    ],
)
def test_a_wrong_call_is_a_sentence(lake: k2.Lake, ask: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ask(lake)


def test_a_home_without_a_lake_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no lake in .*nowhere"):
        k2.Lake(tmp_path / "nowhere")


def test_a_home_may_be_an_address(home: Path) -> None:
    assert k2.Lake(home.as_uri()).tables() == ["gold_trades"]


def test_a_missing_file_is_a_sentence_wherever_it_shows(lake: k2.Lake) -> None:
    found = lake.trades("BTC-USDT")
    Path(found.files[0]).unlink()

    for read in (lambda: found.arrow().read_all(), lambda: lake.sql("from gold").arrow()):
        with pytest.raises(ContractError, match="gold_trades lacks the file"):
            read()


def test_a_query_that_fails_late_is_a_sentence(lake: k2.Lake) -> None:
    late = "select if(n < 900_000, n, ('x' || n)::int) as n from range(1_000_000) t(n)"

    with pytest.raises(ConfigError, match="Could not convert string 'x9"):
        lake.sql(late).arrow(2_048).read_all()


def test_a_lake_that_is_closed_gives_no_rows(home: Path) -> None:
    with k2.Lake(home) as lake:
        found = lake.trades()

    with pytest.raises(ConfigError, match="The lake is closed"):
        found.arrow()
