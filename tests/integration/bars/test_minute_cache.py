"""Bars of batch after batch: what the last one left is added to, and right whatever happens."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from k2.bars import processor as ohlcv
from k2.bars.processor import bars_stream, rebuild
from k2.bars.store import BarStore
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from tests.fixtures.crypto_fixtures import Record
from tests.support.bars import EPOCH, gold_row, plain_bars
from tests.support.lake import Lake
from tests.support.stored_bars import NINE, numbers, stored
from tests.support.trades import append

pytestmark = pytest.mark.integration

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Service:
    """The stream of one process, which has batch after batch."""

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = lake
        self.trades: list[Record] = []
        self.read: list[list[int]] = []  # hours, each time that Gold itself was read
        monkeypatch.setattr(ohlcv, "_minutes_of", self._reading(ohlcv._minutes_of))
        self.restart()

    def restart(self) -> None:
        """Start over, with what is stored."""
        self.stream = bars_stream(self.lake.settings, self.lake.writer())

    def gold(self, *trades: Record) -> None:
        """Add a commit to Gold."""
        self.trades += trades
        append(self.lake.settings.lake, GOLD_TRADES, trades)

    def batch(self, *trades: Record) -> None:
        """Add a commit to Gold and take it."""
        if trades:
            self.gold(*trades)
        self.lake.run(self.stream)

    def assert_right(self) -> None:
        """The stored bars are those of all trades."""
        assert numbers(stored(self.lake)) == plain_bars(self.trades)

    def _reading(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def read(gold: DeltaTable, hours: Sequence[int]) -> Any:
            self.read.append(list(hours))
            return real(gold, hours)

        return read


@pytest.fixture
def service(spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service(Lake(spark, settings), monkeypatch)


def hour_of(moment: datetime) -> int:
    return (moment - EPOCH) // HOUR


def trade(number: int, at: datetime = NINE, **changes: Any) -> Record:
    """A trade so many seconds after ``at``."""
    return gold_row(number, timestamp=at + timedelta(seconds=number), **changes)


def test_hours_that_a_service_has_seen_begin_are_never_read_again(service: Service) -> None:
    for number in range(4):
        service.batch(trade(number), trade(40 + number), trade(number, NINE + number * HOUR / 2))
        service.assert_right()

    assert service.read == []


def test_after_a_start_an_hour_with_bars_is_read_once(service: Service) -> None:
    service.batch(trade(1), trade(2, NINE + HOUR), trade(3, NINE - HOUR))
    service.restart()

    service.batch(trade(4), trade(5, NINE + 5 * HOUR))
    service.batch(trade(6), trade(7, NINE + MINUTE))
    service.assert_right()
    service.batch(trade(8, NINE - HOUR))

    service.assert_right()
    assert service.read == [[hour_of(NINE)], [hour_of(NINE - HOUR)]]


def test_a_trade_that_comes_while_gold_is_read_counts_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.batch(trade(1))
    service.restart()
    read = ohlcv._minutes_of

    def read_late(*asked: Any) -> Any:
        monkeypatch.setattr(ohlcv, "_minutes_of", read)
        service.gold(trade(3))
        return read(*asked)

    monkeypatch.setattr(ohlcv, "_minutes_of", read_late)
    service.gold(trade(2))

    service.batch()
    service.batch()

    service.assert_right()


def test_batches_that_end_within_a_commit_count_each_trade_once(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = settings.model_copy(update={"max_files_per_batch": 1})  # eight files of Gold
    service = Service(Lake(spark, few), monkeypatch)
    hours = [NINE + number * HOUR for number in range(20)]
    service.batch(*(trade(n, hour) for n, hour in enumerate(hours)))
    service.restart()

    service.gold(*(trade(30 + n, hour) for n, hour in enumerate(hours)))
    service.gold(*(trade(60 + n, hour) for n, hour in enumerate(hours)))
    service.batch()
    service.assert_right()
    service.batch(*(trade(90 + n, hour) for n, hour in enumerate(hours)))

    service.assert_right()


def test_a_batch_that_failed_leaves_nothing_that_is_added_to(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise RuntimeError("died here")

    service.batch(trade(1))
    with monkeypatch.context() as patch:
        patch.setattr(BarStore, "_commit", dies)
        with pytest.raises(Exception, match="died here"):
            service.batch(trade(2))

    service.batch()
    service.batch(trade(3))

    service.assert_right()
    assert service.read == [[hour_of(NINE)]]


def test_a_batch_that_was_committed_and_runs_again_is_not_added_twice(service: Service) -> None:
    service.batch(trade(1))
    service.batch(trade(2))
    service.lake.forget_last_commit(service.stream)

    service.batch()
    service.batch(trade(3))

    service.assert_right()


def test_bars_rebuilt_beyond_what_the_stream_has_read_come_right(service: Service) -> None:
    service.batch(trade(1))
    service.gold(trade(2), trade(3, NINE + HOUR))
    for _ in rebuild(service.lake.settings):
        pass
    service.restart()

    service.batch()
    service.batch(trade(4), trade(5, NINE + HOUR))

    service.assert_right()


def test_markets_of_an_hour_do_not_mix(service: Service) -> None:
    for number in range(3):
        service.batch(
            trade(number),
            trade(number, symbol="ETH-USDT"),
            trade(number, symbol="BTC-USD", exchange="kraken"),
        )

    service.assert_right()
    assert service.read == []
