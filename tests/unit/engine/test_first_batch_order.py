"""While a run warms up, every stream has its first batch before any has its second."""

import threading
from pathlib import Path

import pytest

from k2.bars.table import BARS, GOLD_OHLCV
from k2.bronze.table import bronze_trades
from k2.engine.first_batch_order import FirstBatchOrder
from k2.engine.rows_available import RowsAvailable
from k2.engine.stream_task import StreamTask
from k2.exchanges import EXCHANGES
from k2.gold.table import GOLD_TRADES
from k2.observability.status import StreamStatus
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from tests.support.streams import idle_stream

pytestmark = pytest.mark.unit

EXCHANGE = EXCHANGES[0]
BRONZE, SILVER = bronze_trades(EXCHANGE), silver_trades(EXCHANGE)
A_MOMENT, LONG_ENOUGH = 0.4, 10.0


class Run:
    """Bronze, Silver and Gold that do not run: ten records in Kafka, and none taken."""

    def __init__(self, home: Path) -> None:
        streams = (
            idle_stream(Layer.BRONZE, EXCHANGE, BRONZE, unread=lambda: 10),
            idle_stream(Layer.SILVER, EXCHANGE, SILVER, reads=(BRONZE,)),
            idle_stream(Layer.GOLD, None, GOLD_TRADES, reads=(SILVER,)),
            idle_stream(
                Layer.GOLD, None, GOLD_OHLCV, name=BARS, reads=(GOLD_TRADES,), is_critical=False
            ),
        )
        tasks = [StreamTask(s, StreamStatus(s.name, str(s.layer), EXCHANGE.name)) for s in streams]
        self.bronze, self.silver, self.gold, self.bars = tasks
        self.warm_up = FirstBatchOrder(tasks, RowsAvailable(home / "lake", tasks))

    def takes(self, task: StreamTask, rows: int) -> None:
        task.rows_in += rows
        task.rows_out += rows
        task.status.batches += 1

    def asks(self, task: StreamTask) -> threading.Thread:
        """Have a stream ask in the thread of its batch; it lives until the batch may begin."""
        thread = threading.Thread(target=self.warm_up.wait, args=(task,), daemon=True)
        thread.start()
        thread.join(A_MOMENT)
        return thread


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_first_batch_begins_at_once(run: Run) -> None:
    assert not run.asks(run.bronze).is_alive()


def test_a_second_batch_waits_for_the_first_of_every_stream_after_it(run: Run) -> None:
    run.takes(run.bronze, 4)
    second = run.asks(run.bronze)
    assert second.is_alive()

    run.takes(run.silver, 4)
    second.join(A_MOMENT)
    assert second.is_alive()

    run.takes(run.gold, 4)
    second.join(LONG_ENOUGH)
    assert not second.is_alive()


def test_bars_wait_for_the_trades_and_nobody_for_bars(run: Run) -> None:
    run.bronze.rows_out = run.silver.rows_out = 4
    first = run.asks(run.bars)
    assert first.is_alive()

    for task in (run.bronze, run.silver, run.gold):
        run.takes(task, 10)
    first.join(LONG_ENOUGH)
    assert not first.is_alive()
    assert not run.asks(run.bronze).is_alive()


def test_nobody_waits_for_a_stream_that_has_nothing_to_take(run: Run) -> None:
    run.takes(run.bronze, 4)
    run.silver.rows_in = 4  # in a run before this one

    assert not run.asks(run.bronze).is_alive()


def test_the_first_batch_of_what_was_left_waits_for_the_news_before_it(run: Run) -> None:
    run.bronze.rows_out = run.silver.rows_in = 5
    run.silver.rows_out = 5  # which Gold has not taken

    first = run.asks(run.gold)
    assert first.is_alive()

    run.takes(run.bronze, 10)
    run.takes(run.silver, 10)
    first.join(LONG_ENOUGH)
    assert not first.is_alive()


def test_nobody_waits_for_a_stream_that_is_down(run: Run) -> None:
    run.takes(run.bronze, 4)
    run.silver.done = True

    assert not run.asks(run.bronze).is_alive()


def test_the_end_of_a_run_lets_everybody_go(run: Run) -> None:
    run.takes(run.bronze, 4)
    second = run.asks(run.bronze)

    run.warm_up.end()

    second.join(LONG_ENOUGH)
    assert not second.is_alive()


def test_a_stream_whose_first_batch_never_comes_holds_nobody_for_ever(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("k2.engine.first_batch_order._MAX_WAIT_SECONDS", 0.0)
    late = FirstBatchOrder(
        [run.bronze, run.silver], RowsAvailable(Path("nowhere"), [run.bronze, run.silver])
    )
    run.takes(run.bronze, 4)

    late.wait(run.bronze)

    assert run.silver.status.batches == 0
