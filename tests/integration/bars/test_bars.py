"""The stream of bars: recomputed, replaced, never added to; each change one commit."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from k2.bars.processor import bars_stream, rebuild
from k2.bars.store import BarStore
from k2.bars.table import GOLD_OHLCV
from k2.gold.table import GOLD_TRADES
from k2.quality.backlog import rows
from k2.settings import Settings
from k2.storage.delta import open_table
from tests.fixtures.crypto_fixtures import Record
from tests.support.bars import EPOCH, LENGTHS, gold_row, plain_bars
from tests.support.lake import Lake
from tests.support.stored_bars import NINE, numbers, stored
from tests.support.trades import append

pytestmark = pytest.mark.integration

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def lake(spark: SparkSession, settings: Settings) -> Lake:
    return Lake(spark, settings)


def gold(lake: Lake, *trades: Record) -> None:
    append(lake.settings.lake, GOLD_TRADES, trades)


def run(lake: Lake) -> None:
    lake.run(bars_stream(lake.settings, lake.writer()))


def bar(lake: Lake, timeframe: str = "1m", at: datetime = NINE, symbol: str = "BTC-USDT") -> Record:
    length = LENGTHS[timeframe]
    return stored(lake)["binance", symbol, timeframe, EPOCH + (at - EPOCH) // length * length]


def version(lake: Lake) -> int:
    table = open_table(lake.settings.lake, GOLD_OHLCV)
    return -1 if table is None else table.version()


def day_of_trades(count: int = 60) -> list[Record]:
    """Trades of two exchanges and three markets over 26 hours, across midnight."""
    return [
        gold_row(
            n,
            timestamp=NINE + n * timedelta(minutes=26, seconds=1),
            symbol=("BTC-USDT", "ETH-USDT", "BTC-USD")[n % 3],
            exchange="kraken" if n % 3 == 2 else "binance",
            side="BUY" if n % 2 else "SELL",
            price=Decimal(n + 1) / 7 // Decimal("1e-8") * Decimal("1e-8"),
        )
        for n in range(count)
    ]


def test_bars_of_all_lengths_are_those_of_plain_python(lake: Lake) -> None:
    trades = day_of_trades()
    for start in range(0, 60, 20):
        gold(lake, *trades[start : start + 20])
        run(lake)

    bars = stored(lake)

    assert numbers(bars) == plain_bars(trades)
    assert all(bar["bar_date"] == bar["bar_start"].date() for bar in bars.values())


def test_a_late_trade_replaces_its_bars_and_raises_their_revision(lake: Lake) -> None:
    first = gold_row(1, timestamp=NINE, price=Decimal(5))
    other = gold_row(2, timestamp=NINE + 3 * HOUR)
    gold(lake, first, other)
    run(lake)

    late = gold_row(3, timestamp=NINE - timedelta(seconds=5), price=Decimal(9), is_late=True)
    gold(lake, late)
    run(lake)

    assert numbers(stored(lake)) == plain_bars([first, other, late])
    assert (bar(lake)["open"], bar(lake)["trade_count"], bar(lake)["revision"]) == (9, 2, 1)
    assert bar(lake, "1d")["revision"] == 1
    assert bar(lake, at=NINE + 3 * HOUR)["revision"] == 0


def test_a_day_old_trade_makes_a_bar_that_is_final_at_once(lake: Lake) -> None:
    gold(lake, gold_row(1, timestamp=NINE))
    run(lake)

    gold(lake, gold_row(2, timestamp=NINE - timedelta(days=2)))
    run(lake)

    old = bar(lake, "1d", NINE - timedelta(days=2))
    assert (old["is_final"], old["revision"], old["trade_count"]) == (True, 0, 1)


def test_running_again_with_nothing_new_commits_nothing(lake: Lake) -> None:
    gold(lake, *day_of_trades(6))
    run(lake)
    before = version(lake)

    run(lake)

    assert version(lake) == before


def test_a_batch_that_runs_again_after_a_crash_changes_nothing(lake: Lake) -> None:
    gold(lake, *day_of_trades(6))
    run(lake)
    bars, before = stored(lake), version(lake)
    lake.forget_last_commit(bars_stream(lake.settings, lake.writer()))

    run(lake)

    assert (stored(lake), version(lake)) == (bars, before)


def test_a_batch_that_died_before_its_commit_is_written_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = day_of_trades(6)
    gold(lake, *trades)
    with monkeypatch.context() as patch:
        patch.setattr(BarStore, "_commit", _dies)
        with pytest.raises(Exception, match="died here"):
            run(lake)
    assert stored(lake) == {}

    run(lake)

    assert numbers(stored(lake)) == plain_bars(trades)
    assert {bar["revision"] for bar in stored(lake).values()} == {0}


def _dies(*_arguments: object) -> None:
    raise RuntimeError("died here")


def test_a_replay_that_finds_newer_trades_in_gold_still_counts_each_once(lake: Lake) -> None:
    first, second = gold_row(1, timestamp=NINE), gold_row(2, timestamp=NINE + timedelta(seconds=9))
    gold(lake, first)
    run(lake)
    lake.forget_last_commit(bars_stream(lake.settings, lake.writer()))
    gold(lake, second)

    run(lake)

    assert numbers(stored(lake)) == plain_bars([first, second])


def test_a_bar_is_final_once_its_exchange_is_five_minutes_past_its_end(lake: Lake) -> None:
    end = NINE.replace(second=0) + MINUTE
    gold(lake, gold_row(1, timestamp=NINE))
    gold(lake, gold_row(2, timestamp=end + 5 * MINUTE - timedelta(microseconds=1)))
    run(lake)
    assert not bar(lake)["is_final"]

    gold(lake, gold_row(3, timestamp=end + 5 * MINUTE))
    run(lake)

    assert (bar(lake)["is_final"], bar(lake)["revision"]) == (True, 0)
    assert not bar(lake, "5m")["is_final"]


def test_a_silent_market_becomes_final_with_its_exchange(lake: Lake) -> None:
    gold(lake, gold_row(1, timestamp=NINE, symbol="ETH-USDT"))
    gold(lake, gold_row(1, timestamp=NINE, exchange="kraken", symbol="BTC-USD"))
    run(lake)

    for day in (1, 2):
        gold(lake, gold_row(1 + day, timestamp=NINE + timedelta(days=day)))
        run(lake)

    final = {key[:3]: bar["is_final"] for key, bar in stored(lake).items() if key[3] < NINE + HOUR}
    assert {key[2] for key, done in final.items() if key[0] == "binance" and done} == set(LENGTHS)
    assert not any(done for key, done in final.items() if key[0] == "kraken")


def test_a_rebuild_from_gold_gives_equal_bars_and_writes_nothing(lake: Lake) -> None:
    trades = day_of_trades()
    for start in range(0, 60, 30):
        gold(lake, *trades[start : start + 30])
        run(lake)
    before = version(lake)

    differences = dict(rebuild(lake.settings))

    assert set(differences.values()) == {0}
    assert len(differences) == 2
    assert version(lake) == before


def test_a_rebuild_into_an_empty_table_gives_the_same_bars_but_for_revisions(
    lake: Lake, spark: SparkSession, tmp_path: Path
) -> None:
    trades = day_of_trades(30)
    other = Lake(spark, Settings.load(home=tmp_path / "other"))
    for trade in (trades[:20], trades[20:]):
        gold(lake, *trade)
        run(lake)
        gold(other, *trade)

    for _ in rebuild(other.settings):
        pass

    rebuilt = {key: bar | {"revision": 0} for key, bar in stored(other).items()}
    assert rebuilt == {key: bar | {"revision": 0} for key, bar in stored(lake).items()}


def test_a_rebuild_repairs_a_wrong_bar_as_a_new_revision(lake: Lake) -> None:
    gold(lake, gold_row(1, timestamp=NINE))
    run(lake)
    table = open_table(lake.settings.lake, GOLD_OHLCV)
    assert table is not None
    table.update(updates={"volume": "77"}, predicate="timeframe = '1h'")

    differences = dict(rebuild(lake.settings))

    assert differences == {NINE.date(): 1}
    repaired = bar(lake, "1h")
    assert (repaired["volume"], repaired["revision"]) == (Decimal("0.001"), 1)


def test_bars_hold_as_many_trades_as_gold(lake: Lake) -> None:
    gold(lake, *day_of_trades(7))
    assert rows(lake.settings, GOLD_OHLCV) == 0

    run(lake)

    assert rows(lake.settings, GOLD_OHLCV) == 7


def test_a_batch_rewrites_only_the_days_it_touches(lake: Lake) -> None:
    gold(lake, *(gold_row(n, timestamp=NINE + timedelta(days=n)) for n in range(10)))
    run(lake)
    before = {path for path in _files(lake) if "2026-07-07" in path}

    gold(lake, gold_row(11, timestamp=NINE + timedelta(days=9, seconds=1)))
    run(lake)

    assert {path for path in _files(lake) if "2026-07-07" in path} == before


def _files(lake: Lake) -> list[str]:
    table = open_table(lake.settings.lake, GOLD_OHLCV)
    return [] if table is None else table.file_uris()


def test_readers_without_spark_can_filter_by_market(lake: Lake) -> None:
    for trade in day_of_trades(3):
        gold(lake, trade)
        run(lake)
    table = open_table(lake.settings.lake, GOLD_OHLCV)
    assert table is not None

    found = table.to_pyarrow_table(filters=[("symbol", "=", "ETH-USDT"), ("timeframe", "=", "1d")])

    assert found["trade_count"].to_pylist() == [1]
