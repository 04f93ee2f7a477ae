"""The end of a local run: what is buffered is written at once, as soon as nothing else is left."""

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from k2.bars.table import BARS
from k2.cli import run_watch
from k2.cli.run_watch import RunWatch
from k2.home.endpoints import Endpoints
from k2.settings import Settings

pytestmark = pytest.mark.unit


class Engine:
    """Has ``left`` rows to take; bars only take theirs when they are flushed."""

    statuses: tuple[()] = ()

    def __init__(self, gold: int, bars: int) -> None:
        self.left = {"gold": gold, BARS: bars}
        self.flushed_with: list[int] = []

    def watch(self) -> bool:
        self.left["gold"] = max(self.left["gold"] - 1, 0)
        return True

    def publish(self) -> None:
        pass

    def flush_buffers(self) -> None:
        self.flushed_with.append(self.left["gold"])
        self.left[BARS] = 0


def test_bars_do_not_wait_for_their_time_when_gold_has_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(gold=3, bars=10)
    monkeypatch.setattr(run_watch, "backlog", lambda *_: dict(engine.left))
    monkeypatch.setattr(run_watch, "_TICK", 0.0)
    idle = SimpleNamespace(look=lambda: None)
    stack = SimpleNamespace(disk_space=idle, revive=lambda: None)
    console = Console(file=StringIO())
    watch = RunWatch(settings, stack, engine, None, Endpoints("k", "r"), console)  # type: ignore[arg-type]

    watch.until_drained()

    assert engine.flushed_with == [0]
