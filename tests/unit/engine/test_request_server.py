"""The thread that answers: once, with a result or with the error that it was."""

import pytest

from k2.engine.request_server import RequestServer
from k2.engine.table_requests import Request, answered, pending, submit
from k2.errors import FailedError, UnavailableError

pytestmark = pytest.mark.unit

REQUEST = Request("maintain", "gold", {}, "id-1")


class FakeOwner:
    """Answers what the test tells it to, in turn."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)

    def execute(self, _request):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def serve(settings, *outcomes):
    done = []
    owner = FakeOwner(*outcomes)
    server = RequestServer(settings, {"gold": owner}, lambda request, _: done.append(request.id))
    submit(settings, REQUEST)
    for _ in outcomes:
        server.serve_once()
    return done


def test_a_result_is_the_answer(settings):
    done = serve(settings, {"files": 1})

    assert answered(settings, REQUEST) == {"files": 1}
    assert done == ["id-1"]


def test_what_is_unavailable_is_tried_again(settings):
    serve(settings, UnavailableError("half written"), {"files": 1})

    assert answered(settings, REQUEST) == {"files": 1}


def test_an_unfinished_request_is_left_to_the_next_owner(settings):
    done = serve(settings, None)

    assert pending(settings, {"gold"}) == [REQUEST]
    assert done == []


@pytest.mark.parametrize("error", [FailedError("disk is full"), ValueError("disk is full")])
def test_any_other_error_is_the_answer_too(settings, error):
    serve(settings, error)

    with pytest.raises(FailedError, match="disk is full"):
        answered(settings, REQUEST)


def test_a_server_that_ends_takes_no_more(settings):
    submit(settings, REQUEST)
    server = RequestServer(
        settings, {"gold": FakeOwner({})}, lambda *_: None, interval_seconds=0.01
    )
    server.start()

    server.stop()
    submit(settings, Request("maintain", "gold", {}, "id-2"))
    server.serve_once()

    assert "id-2" in [request.id for request in pending(settings, {"gold"})]
