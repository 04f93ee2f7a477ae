"""Bars wait while trades are behind, and nobody waits for ever."""

import threading
from typing import Any

import pytest

from k2.exchanges import EXCHANGES
from k2.observability.status import StreamStatus
from k2.runner import giving_way
from k2.runner.giving_way import GivingWay
from k2.runner.slot import Slot
from k2.streams.stream import Stream
from k2.tables import GOLD_OHLCV, GOLD_TRADES, Layer, silver_trades

pytestmark = pytest.mark.unit

EXCHANGE = EXCHANGES[0]
SILVER = silver_trades(EXCHANGE)
A_MOMENT, LONG_ENOUGH = 0.4, 10.0


def never(_: Any) -> Any:
    raise NotImplementedError


class Run:
    """Silver, Gold and bars that do not run."""

    def __init__(self) -> None:
        streams = (
            Stream(Layer.SILVER, EXCHANGE, 1, (SILVER,), never, never),
            Stream(Layer.GOLD, None, 1, (GOLD_TRADES,), never, never, reads=(SILVER,)),
            Stream(
                Layer.GOLD,
                None,
                1,
                (GOLD_OHLCV,),
                never,
                never,
                reads=(GOLD_TRADES,),
                called="bars",
            ),
        )
        slots = [Slot(s, StreamStatus(s.name, str(s.layer), None)) for s in streams]
        self.silver, self.gold, self.bars = slots
        self.giving_way = GivingWay(slots)

    def asks(self, slot: Slot) -> threading.Thread:
        thread = threading.Thread(target=self.giving_way.wait, args=(slot,), daemon=True)
        thread.start()
        thread.join(A_MOMENT)
        return thread


def test_bars_begin_at_once_when_the_trades_are_there() -> None:
    run = Run()
    run.silver.status.lag, run.gold.status.lag = 5_000, None

    assert not run.asks(run.bars).is_alive()


def test_bars_wait_until_a_backlog_of_trades_has_passed() -> None:
    run = Run()
    run.silver.status.lag = 400_000

    waiting = run.asks(run.bars)
    assert waiting.is_alive()

    run.silver.status.lag = 0
    waiting.join(LONG_ENOUGH)
    assert not waiting.is_alive()


def test_a_stream_that_others_read_gives_no_way() -> None:
    run = Run()
    run.silver.status.lag = 400_000

    assert not run.asks(run.gold).is_alive()


def test_their_own_backlog_does_not_hold_bars_back() -> None:
    run = Run()
    run.bars.status.lag = 400_000

    assert not run.asks(run.bars).is_alive()


def test_a_stream_that_cannot_go_on_holds_nobody_back() -> None:
    run = Run()
    run.silver.status.lag, run.silver.status.error = 400_000, "Kafka does not answer"
    run.gold.status.lag, run.gold.done = 400_000, True

    assert not run.asks(run.bars).is_alive()


def test_a_backlog_that_never_ends_holds_bars_back_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(giving_way, "_LONGEST", A_MOMENT / 4)
    run = Run()
    run.silver.status.lag = 400_000

    assert not run.asks(run.bars).is_alive()


def test_a_run_that_ends_waits_for_nothing() -> None:
    run = Run()
    run.silver.status.lag = 400_000
    waiting = run.asks(run.bars)

    run.giving_way.end()

    waiting.join(LONG_ENOUGH)
    assert not waiting.is_alive()
