"""SQL over the stored tables: views by their short names, and nothing else in reach."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import k2
from k2.errors import ConfigError
from tests.support.stored_rows import store_bars, store_dead_letter, store_gold

pytestmark = pytest.mark.unit

NINE = dt.datetime(2026, 7, 7, 9, 0, tzinfo=dt.UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[k2.Lake]:
    """A Gold trade, its bars, and a dead letter of each of two exchanges."""
    store_gold(tmp_path / "lake", {"timestamp": NINE})
    store_bars(tmp_path / "lake", {"timestamp": NINE})
    for exchange in k2.EXCHANGES[:2]:
        store_dead_letter(tmp_path / "lake", exchange)
    with k2.Lake(tmp_path) as opened:
        yield opened


def rows(lake: k2.Lake, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lake.sql(query).arrow().read_all().to_pylist()
    return found


@pytest.mark.parametrize(
    ("view", "count"),
    [
        ("gold", 1),
        ("gold_trades", 1),
        ("GOLD", 1),
        ("bars", 5),
        ("dead_letters", 2),
        ("dead_letters_kraken", 1),
        ("dlq_kraken_trades", 1),
    ],
)
def test_tables_have_short_names(lake: k2.Lake, view: str, count: int) -> None:
    assert rows(lake, f"select count(*) as n from {view}") == [{"n": count}]  # noqa: S608


def test_a_view_of_all_exchanges_says_whose_a_row_is(lake: k2.Lake) -> None:
    found = rows(lake, "select exchange, error_type from dead_letters order by exchange")

    assert found == [
        {"exchange": "binance", "error_type": "rule"},
        {"exchange": "kraken", "error_type": "rule"},
    ]


def test_times_are_in_utc(lake: k2.Lake) -> None:
    assert rows(lake, "select timestamp::text as at from gold") == [
        {"at": "2026-07-07 09:00:00+00"}
    ]


def test_a_query_opens_the_tables_that_it_names(lake: k2.Lake) -> None:
    found = lake.sql("select count(*) from gold join bars using (symbol)")

    assert found.versions.keys() == {"gold_trades", "gold_ohlcv"}


def test_views_can_be_listed_and_described(lake: k2.Lake) -> None:
    views = {row["name"] for row in rows(lake, "show tables")}

    assert {"gold", "bars", "dead_letters", "dead_letters_binance", "gold_trades"} <= views
    assert rows(lake, "describe gold")[0]["column_name"] == "message_id"


def test_a_view_stays_at_its_version(lake: k2.Lake, tmp_path: Path) -> None:
    found = lake.sql("select count(*) as n from gold")

    store_gold(tmp_path / "lake", {"timestamp": NINE})

    assert found.arrow().read_all().to_pylist() == [{"n": 1}]


@pytest.mark.parametrize(
    "query",
    [
        "drop view gold",
        "create table mine as from gold",
        "insert into gold select * from gold",
        "copy gold to 'gold.csv'",
        "explain analyze copy gold to 'gold.csv'",
        "export database 'copy'",
        "attach 'other.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "pragma version",
        "select 1; select 2",
        "",
        "-- nothing",
    ],
)
def test_all_but_one_select_is_refused(
    lake: k2.Lake, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(ConfigError, match="A query is one `select`"):
        lake.sql(query)

    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "query",
    [
        "select content from read_text('{secret}')",
        "from read_csv('{secret}')",
        "from '{secret}'",
        "from glob('{folder}/*')",
        "from read_parquet('{folder}/lake/gold_trades/**/*.parquet')",
        "from secret_of_the_caller",
    ],
)
def test_nothing_but_the_tables_can_be_read(lake: k2.Lake, query: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    secret_of_the_caller = lake.trades().arrow().read_all()

    with pytest.raises(ConfigError, match=r"Permission Error|does not exist"):
        lake.sql(query.format(secret=secret, folder=tmp_path)).arrow().read_all()

    assert secret_of_the_caller.num_rows == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from goldd", 'Did you mean "gold"\\?.* Views: bars, '),
        ("selec 1", 'syntax error at or near "selec"$'),
        ("select prize from gold", 'Referenced column "prize" not found'),
        ("select 'x'::int from gold", "Could not convert string 'x' to INT32$"),
    ],
)
def test_a_wrong_query_is_a_sentence(lake: k2.Lake, query: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        lake.sql(query).arrow().read_all()
