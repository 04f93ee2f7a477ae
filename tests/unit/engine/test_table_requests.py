"""Requests are files: answered once, whatever dies between."""

import os
import time

import pytest

from k2.engine.table_requests import Request, answer, answered, delete_request, pending, submit
from k2.errors import ConfigError, FailedError, UnavailableError

pytestmark = pytest.mark.unit

REQUEST = Request("maintain", "gold", {"dry_run": True}, "id-1")


def test_a_request_is_pending_until_it_is_answered(settings):
    submit(settings, REQUEST)
    before = pending(settings, {"gold"})

    answer(settings, REQUEST, {"files": 3})

    assert before == [REQUEST]
    assert pending(settings, {"gold"}) == []
    assert answered(settings, REQUEST) == {"files": 3}


def test_nobody_takes_another_streams_request(settings):
    submit(settings, REQUEST)

    assert pending(settings, {"silver-binance"}) == []


def test_there_is_no_answer_before_there_is_one(settings):
    submit(settings, REQUEST)

    assert answered(settings, REQUEST) is None


@pytest.mark.parametrize("kind", [ConfigError, UnavailableError, FailedError])
def test_an_error_arrives_as_the_error_it_was(settings, kind):
    submit(settings, REQUEST)

    answer(settings, REQUEST, kind("the disk is full"))

    with pytest.raises(kind, match="the disk is full"):
        answered(settings, REQUEST)


def test_a_password_in_an_answer_is_not_written_down(settings):
    submit(settings, REQUEST)

    answer(settings, REQUEST, UnavailableError("http://reader:hunter2@registry:8081 is silent"))

    with pytest.raises(UnavailableError, match="http://\\*\\*\\*@registry:8081 is silent"):
        answered(settings, REQUEST)


def test_requests_come_oldest_first(settings):
    for age, name in ((10, "b"), (20, "a"), (5, "c")):
        submit(settings, Request("maintain", "gold", {}, name))
        when = time.time() - age
        os.utime(settings.run / "requests" / f"{name}.json", (when, when))

    assert [request.id for request in pending(settings, {"gold"})] == ["a", "b", "c"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kind": "maintain", "colour": "blue"}'])
def test_a_file_that_is_no_request_is_left_alone(settings, content):
    submit(settings, REQUEST)
    (settings.run / "requests" / "odd.json").write_bytes(content)

    assert pending(settings, {"gold"}) == [REQUEST]


def test_nothing_is_left_of_a_forgotten_request(settings):
    submit(settings, REQUEST)
    answer(settings, REQUEST, {})

    delete_request(settings, REQUEST)

    assert list((settings.run / "requests").iterdir()) == []


def test_an_answer_that_nobody_fetched_is_removed_after_a_day(settings):
    submit(settings, REQUEST)
    answer(settings, REQUEST, {})
    old = time.time() - 100_000
    os.utime(settings.run / "requests" / "id-1.answer", (old, old))

    submit(settings, Request("maintain", "gold", {}, "id-2"))

    assert answered(settings, REQUEST) is None
