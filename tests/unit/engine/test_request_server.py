"""The thread that answers: once, with a result or with the error that it was."""

from collections.abc import Callable
from typing import Any

import pytest

from k2.engine import request_server
from k2.engine.request_server import RequestServer
from k2.engine.table_requests import Request
from k2.errors import FailedError, UnavailableError
from tests.support.control import MemoryControl

pytestmark = pytest.mark.unit

REQUEST = Request("maintain", "gold", {}, "id-1")


class FakeOwner:
    """Answers what the test tells it to, in turn."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    def execute(self, _: Request, should_continue: Callable[[], bool]) -> dict[str, Any] | None:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome(should_continue) if callable(outcome) else outcome


def served(control: MemoryControl, *outcomes: Any) -> tuple[RequestServer, list[str]]:
    done: list[str] = []
    owner = FakeOwner(*outcomes)
    server = RequestServer(control, {"gold": owner}, lambda request, _: done.append(request.id))
    return server, done


def serve(control: MemoryControl, *outcomes: Any) -> list[str]:
    server, done = served(control, *outcomes)
    for _ in outcomes:
        server.serve_once()
    return done


def test_a_result_is_the_answer() -> None:
    control = MemoryControl(REQUEST)

    done = serve(control, {"files": 1})

    assert control.answers == {"id-1": {"files": 1}}
    assert done == ["id-1"]
    assert control.begun == []


def test_what_is_unavailable_is_tried_again() -> None:
    control = MemoryControl(REQUEST)

    serve(control, UnavailableError("half written"), {"files": 1})

    assert control.answers == {"id-1": {"files": 1}}


def test_an_unfinished_request_is_left_to_the_next_owner() -> None:
    control = MemoryControl(REQUEST)

    done = serve(control, None)

    assert control.pending({"gold"}) == [REQUEST]
    assert (done, control.begun) == ([], [])


@pytest.mark.parametrize("error", [FailedError("disk is full"), ValueError("disk is full")])
def test_any_other_error_is_the_answer_too(error: Exception) -> None:
    control = MemoryControl(REQUEST)

    serve(control, error)

    assert isinstance(control.answers["id-1"], FailedError)
    assert "disk is full" in str(control.answers["id-1"])


def test_work_that_nobody_waits_for_any_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_server, "_WANTED_SECONDS", 0.0)
    control = MemoryControl(REQUEST)
    looks = []

    def work(should_continue: Callable[[], bool]) -> None:
        looks.append(should_continue())
        control.unwanted.add("id-1")
        looks.append(should_continue())

    serve(control, work)

    assert looks == [True, False]
    assert control.answers == {}


def test_an_answer_that_could_not_be_left_is_left_later_without_doing_the_work_again() -> None:
    control = MemoryControl(REQUEST)

    def work(_: Callable[[], bool]) -> dict[str, int]:
        control.down = UnavailableError("The registry is locked.")
        return {"files": 1}

    server, done = served(control, work)
    with pytest.raises(UnavailableError):
        server.serve_once()
    control.down = None

    server.serve_once()

    assert control.answers == {"id-1": {"files": 1}}
    assert done == ["id-1"]


def test_a_server_that_ends_takes_no_more() -> None:
    control = MemoryControl()
    server = RequestServer(control, {"gold": FakeOwner({})}, lambda *_: None, interval_seconds=0.01)
    server.start()
    server.stop()
    control.requests["id-1"] = REQUEST

    server.serve_once()

    assert control.pending({"gold"}) == [REQUEST]


def test_a_registry_that_is_down_ends_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(request_server.log, "warning", lambda event, **_: said.append(event))
    control = MemoryControl(REQUEST)
    control.down = UnavailableError("The registry is locked.")
    server, _ = served(control, {"files": 1})

    for _ in range(3):
        server._serve()
    control.down = None
    server._serve()

    assert said == ["requests_wait"]
    assert control.answers == {"id-1": {"files": 1}}
