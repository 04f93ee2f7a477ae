"""Which streams a drain runs beside each other, and which only after those before have written."""

import time

import orjson
import pytest
from rich.console import Console

from k2.bars.table import BARS
from k2.cli import draining
from k2.cli.commands import drain
from k2.cli.step_lines import StepLines
from k2.home.endpoints import Endpoints
from k2.home.locks import exclusive
from k2.jobs.kinds.drain import DRAIN, DRAINED
from k2.observability.status import StreamStatus

pytestmark = pytest.mark.unit

ENDPOINTS = Endpoints("127.0.0.1:1", "http://127.0.0.1:1")
STEPS = ["bronze", "silver", "gold", "ohlcv"]
ONE_BY_ONE = [[step] for step in STEPS]


def step_of(stream):
    return BARS if stream.name == BARS else str(stream.layer)


class Goal:
    """What a step's streams have left of what waits."""

    def __init__(self, waiting, streams):
        self.waiting, self.steps = waiting, {step_of(stream) for stream in streams}

    def rows_left(self):
        return sum(self.waiting[step] for step in self.steps)


@pytest.fixture
def engines(monkeypatch):
    """The steps of each engine that is run; what an engine leaves is for the step after it."""
    ran, waiting = [], dict.fromkeys(STEPS, 0) | {"bronze": 7}

    class Engine:
        def __init__(self, spark, settings, streams, available_now, schedule=None, control=None):
            self.steps = sorted({step_of(stream) for stream in streams}, key=STEPS.index)
            self.statuses = [StreamStatus(step, step, None) for step in self.steps]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def run_to_end(self, check_time):
            ran.append(self.steps)
            check_time()
            for status in self.statuses:
                status.rows = 7
            following = STEPS[STEPS.index(self.steps[-1]) + 1 :]
            waiting.update(dict.fromkeys(self.steps, 0) | dict.fromkeys(following[:1], 7))

    monkeypatch.setattr(draining, "Engine", Engine)
    monkeypatch.setattr(draining, "step_goal", lambda _, streams, __: Goal(waiting, streams))
    monkeypatch.setattr(draining, "local_session", lambda *_: None)
    monkeypatch.setattr(draining, "stop_session", lambda _: None)
    return ran


def run(settings):
    console = Console(quiet=True)
    progress = StepLines(console.status(""), for_job=True)
    draining._drain(settings, ENDPOINTS, {}, time.monotonic() + 5, progress, console)


def test_streams_that_hand_on_run_together(settings, engines):
    run(settings)

    assert engines == [STEPS]


@pytest.mark.parametrize("chosen", [{"chain_streams": False}, {"table_writer": "spark"}])
def test_streams_that_read_each_others_tables_run_one_after_the_other(settings, engines, chosen):
    run(settings.model_copy(update=chosen))

    assert engines == ONE_BY_ONE


def test_beside_a_process_that_holds_a_table_the_others_run_one_after_the_other(settings, engines):
    with exclusive(settings.run / "locks", ["silver_binance_trades"], "a test"):
        run(settings)

    assert engines == ONE_BY_ONE


@pytest.mark.parametrize("together", [True, False])
def test_each_step_is_told_once_in_order_with_its_rows(settings, engines, capsys, together):
    run(settings.model_copy(update={"chain_streams": together}))

    told = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [{"step": step, "rows": 7} for step in DRAINED]


def test_a_step_that_has_all_already_is_told_without_rows(settings, engines, capsys, monkeypatch):
    monkeypatch.setattr(draining, "step_goal", lambda *_: Goal(dict.fromkeys(STEPS, 0), []))

    run(settings)

    told = [orjson.loads(line)["rows"] for line in capsys.readouterr().out.splitlines()]
    assert (engines, told) == ([], [0, 0, 0, 0])


def test_nothing_left_to_drain_is_no_failure(home, k2, monkeypatch):
    asked = {}

    def job(_settings, kind, params, **_):
        asked[kind] = DRAIN.validated(params)
        return {"seconds": 0.1}

    monkeypatch.setattr(drain, "find_endpoints", lambda _: ENDPOINTS)
    monkeypatch.setattr(drain, "watermarks", lambda *_: {})
    monkeypatch.setattr(drain, "run_as_job", job)

    said = k2("drain")

    assert said.code == 0
    assert asked["drain"].fail_on_nothing is False
