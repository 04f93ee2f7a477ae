"""Reading by commands: show, trades, query and export, on the terminal and as files."""

import csv
import datetime as dt
import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from k2.exchanges import EXCHANGES
from tests.support.stored_rows import store_bars, store_dead_letter, store_gold

pytestmark = pytest.mark.unit

NINE = dt.datetime(2026, 7, 7, 9, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def lake(home: Path) -> Path:
    """Sixty trades of two markets, a minute apart."""
    for exchange, symbol in (("binance", "BTC-USDT"), ("kraken", "BTC-USD")):
        times = [NINE + n * MINUTE for n in range(30)]
        store_gold(
            home / "lake",
            *({"timestamp": at, "exchange": exchange, "symbol": symbol} for at in times),
        )
    return home / "lake"


def test_a_query_is_printed_as_a_table(k2: Callable[..., Any], lake: Path) -> None:
    said = k2("query", "select exchange, count(*) as trades from gold group by all order by all")

    assert said.code == 0
    assert [line.split() for line in said.out.splitlines()[-3:]] == [
        ["binance", "30"],
        ["kraken", "30"],
        ["2", "rows."],
    ]


def test_a_query_is_printed_as_csv_and_json(k2: Callable[..., Any], lake: Path) -> None:
    query = (
        "select timestamp, price, trade_conditions from gold order by timestamp, exchange limit 1"
    )

    as_csv = list(csv.DictReader(StringIO(k2("query", query, "--format", "csv").out)))
    as_json = json.loads(k2("query", query, "--format", "json").out)

    assert as_csv[0]["timestamp"] == "2026-07-07 09:00:00+00"
    assert as_csv[0]["price"].rstrip("0") == "61837.63"
    assert len(as_json) == 1
    assert as_json[0]["trade_conditions"] == []


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_a_query_is_written_to_a_file(
    k2: Callable[..., Any], lake: Path, tmp_path: Path, ending: str
) -> None:
    to = tmp_path / f"it's.{ending}"

    said = k2("query", "from gold", "--to", to)

    assert said.out == f"60 rows in {to}.\n"
    assert to.stat().st_size > 1_000
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([to.name, "home"])
    if ending == "parquet":
        assert pq.read_table(to).num_rows == 60


def test_an_empty_result_is_a_file_with_its_columns(
    k2: Callable[..., Any], lake: Path, tmp_path: Path
) -> None:
    k2("query", "select symbol from gold where false", "--to", tmp_path / "none.csv")

    assert (tmp_path / "none.csv").read_text() == "symbol\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("query", "drop view gold"), "A query is one `select`"),
        (("query", "select * from goldd"), 'Did you mean "gold"'),
        (("query", "from gold", "--format", "parquet"), "name a file: --to rows.parquet"),
        (("query", "from gold", "--to", "rows.xlsx"), "ends in .csv, .json, .jsonl or .parquet"),
        (("query", "from gold", "--to", "/nowhere/rows.csv"), "Cannot write /nowhere/rows.csv"),
        (("export", "gold", "--to", "rows.csv"), "There is no table 'gold'"),
        (("export", "gold_trades", "--to", "rows.csv", "--columns", "x"), "no column 'x'"),
        (("trades", "BTC-EUR"), "Gold has no trades of BTC-EUR."),
        (("trades", "BTC-USDT", "--exchange", "nasdaq"), "Unknown exchange 'nasdaq'"),
        (("trades", "BTC-USDT", "--from", "noon"), "'noon' is no time"),
        (("trades", "BTC-USDT", "--from", "2027-01-01"), "BTC-USDT in that time"),
        (("show", "gold"), "There is no table 'gold'. Tables: bronze_binance_trades"),
        (("show", "gold_ohlcv"), "There is no table gold_ohlcv in .* yet"),
        (("show", "gold_trades", "--columns", "prize"), "no column 'prize'"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_code_2(
    k2: Callable[..., Any], lake: Path, arguments: tuple[str, ...], said: str
) -> None:
    found = k2(*arguments)

    assert found.code == 2
    assert found.err.startswith("k2: ")
    assert re.search(said, found.err)


def test_a_missing_file_is_a_sentence_and_exit_code_1(k2: Callable[..., Any], lake: Path) -> None:
    for file in lake.glob("gold_trades/**/*.parquet"):
        file.unlink()

    for arguments in (
        ("show", "gold_trades"),
        ("trades", "BTC-USDT"),
        ("query", "from gold"),
        ("query", "from gold", "--format", "csv"),
        ("export", "gold_trades", "--to", lake / "rows.csv"),
        ("balance", "--tables-only"),
    ):
        found = k2(*arguments)
        assert (found.code, found.err.count("lacks the file")) == (1, 1), arguments
    assert not (lake / "rows.csv").exists()


def test_a_file_that_breaks_while_it_is_written_leaves_none(
    k2: Callable[..., Any], lake: Path, tmp_path: Path
) -> None:
    file, *_ = lake.glob("gold_trades/**/*.parquet")
    file.write_bytes(file.read_bytes()[:-2000] + b"\0" * 1990 + b"PAR1" * 2)
    (tmp_path / "rows.csv").write_text("what was there\n")

    found = k2("export", "gold_trades", "--to", tmp_path / "rows.csv")

    assert found.code == 1
    assert (tmp_path / "rows.csv").read_text() == "what was there\n"
    assert not list(tmp_path.glob(".*.draft"))


def test_trades_are_the_newest_oldest_first(k2: Callable[..., Any], lake: Path) -> None:
    found = json.loads(k2("trades", "btc-usdt", "--limit", 2, "--json").out)

    assert [row["timestamp"][11:16] for row in found] == ["09:28", "09:29"]
    assert {row["exchange"] for row in found} == {"binance"}


def test_trades_of_a_time_go_to_a_file(k2: Callable[..., Any], lake: Path, tmp_path: Path) -> None:
    to = tmp_path / "trades.parquet"

    said = k2(
        *("trades", "BTC-USDT", "--exchange", "binance", "--to-file", to),
        *("--from", "2026-07-07T09:10", "--to", "2026-07-07T09:20"),
    )

    assert said.out == f"10 trades in {to}.\n"
    times = pq.read_table(to)["timestamp"].to_pylist()
    assert (min(times), max(times)) == (NINE + 10 * MINUTE, NINE + 19 * MINUTE)


def test_show_narrows_by_market_time_and_columns(k2: Callable[..., Any], lake: Path) -> None:
    found = json.loads(
        k2(
            *("show", "gold_trades", "--symbol", "BTC-USD", "--exchange", "kraken", "--json"),
            *("--since", "2026-07-07T09:05", "--until", "2026-07-07T09:07"),
            *("--columns", "timestamp,symbol"),
        ).out
    )

    assert [(row["timestamp"][11:16], row["symbol"]) for row in found] == [
        ("09:06", "BTC-USD"),
        ("09:05", "BTC-USD"),
    ]
    assert list(found[0]) == ["timestamp", "symbol"]


def test_show_says_when_a_table_cannot_be_narrowed_so(k2: Callable[..., Any], lake: Path) -> None:
    store_dead_letter(lake, EXCHANGES[0])

    found = k2("show", "dlq_binance_trades", "--symbol", "BTC-USDT")

    assert (found.code, "no column symbol" in found.err) == (2, True)
    assert k2("show", "dlq_binance_trades", "--since", "2020-01-01").code == 0


def test_bars_are_of_a_time(k2: Callable[..., Any], lake: Path) -> None:
    store_bars(lake, *({"timestamp": NINE + n * MINUTE} for n in range(10)))
    time = ("--from", "2026-07-07T09:02", "--to", "2026-07-07T09:04")

    found = json.loads(k2("bars", "BTC-USDT", *time, "--json").out)

    assert [bar["bar_start"][11:16] for bar in found] == ["09:02", "09:03"]
    assert k2("bars", "BTC-USDT", "--from", "2027-01-01").code == 2


def test_an_export_is_a_table_at_one_version(
    k2: Callable[..., Any], lake: Path, tmp_path: Path
) -> None:
    to = tmp_path / "gold.csv"

    said = k2("export", "gold_trades", "--to", to, "--columns", "symbol, price", "--json")

    assert json.loads(said.out) == {
        "table": "gold_trades",
        "version": 2,
        "rows": 60,
        "file": str(to),
    }
    assert to.read_text().splitlines()[0] == "symbol,price"
