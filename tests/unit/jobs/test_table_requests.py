"""Requests to owners are rows: answered once, whatever dies between."""

import pytest
from sqlalchemy import text

from k2.engine.table_requests import Request
from k2.errors import ConfigError, FailedError, UnavailableError
from k2.jobs.database import Database
from k2.jobs.stream_control import StreamControl
from k2.jobs.stream_wishes import StreamWishes
from k2.jobs.table_requests import TableRequests
from k2.settings import Settings

REQUEST = Request("maintain", "gold", {"dry_run": True}, "id-1")


@pytest.fixture
def requests(database: Database) -> TableRequests:
    return TableRequests(database)


def test_a_request_is_pending_until_it_is_answered(requests: TableRequests) -> None:
    requests.submit(REQUEST)
    before = requests.pending({"gold"})

    requests.answer(REQUEST, {"files": 3})

    assert before == [REQUEST]
    assert requests.pending({"gold"}) == []
    assert requests.outcome(REQUEST) == {"files": 3}


def test_nobody_takes_another_streams_request(requests: TableRequests) -> None:
    requests.submit(REQUEST)

    assert requests.pending({"silver-binance"}) == []


def test_there_is_no_answer_before_there_is_one(requests: TableRequests) -> None:
    requests.submit(REQUEST)

    assert requests.outcome(REQUEST) is None


def test_an_answer_without_facts_is_an_answer(requests: TableRequests) -> None:
    requests.submit(REQUEST)

    requests.answer(REQUEST, {})

    assert requests.outcome(REQUEST) == {}


@pytest.mark.parametrize("kind", [ConfigError, UnavailableError, FailedError])
def test_an_error_arrives_as_the_error_it_was(requests: TableRequests, kind: type) -> None:
    requests.submit(REQUEST)

    requests.answer(REQUEST, kind("the disk is full"))

    with pytest.raises(kind, match="the disk is full"):
        requests.outcome(REQUEST)


def test_a_password_in_an_answer_is_not_written_down(requests: TableRequests) -> None:
    requests.submit(REQUEST)

    requests.answer(REQUEST, UnavailableError("http://reader:hunter2@registry:8081 is silent"))

    with pytest.raises(UnavailableError, match="http://\\*\\*\\*@registry:8081 is silent"):
        requests.outcome(REQUEST)


def test_requests_come_oldest_first(database: Database, requests: TableRequests) -> None:
    for asked, name in ((2, "b"), (1, "a"), (3, "c")):
        requests.submit(Request("maintain", "gold", {}, name))
        with database.writing() as connection:
            query = text("UPDATE k2_table_request SET asked_ms = :asked WHERE id = :id")
            connection.execute(query, {"asked": asked, "id": name})

    assert [request.id for request in requests.pending({"gold"})] == ["a", "b", "c"]


def test_an_owner_that_died_over_a_request_leaves_it_to_the_next(requests: TableRequests) -> None:
    requests.submit(REQUEST)
    requests.begin(REQUEST)

    assert requests.pending({"gold"}) == [REQUEST]


def test_one_that_nobody_wants_is_not_begun_and_ends_where_it_was(requests: TableRequests) -> None:
    requests.submit(REQUEST)
    requests.begin(REQUEST)

    is_in_work = requests.withdraw(REQUEST)
    is_wanted = requests.is_wanted(REQUEST)
    requests.put_back(REQUEST)

    assert (is_in_work, is_wanted) == (True, False)
    assert requests.withdraw(REQUEST) is False
    assert requests.begin(REQUEST) is False
    assert requests.pending({"gold"}) == []


def test_one_that_is_wanted_again_is_there_again(requests: TableRequests) -> None:
    requests.submit(REQUEST)
    requests.withdraw(REQUEST)

    requests.submit(REQUEST)

    assert requests.pending({"gold"}) == [REQUEST]


def test_nothing_is_left_of_a_deleted_request(requests: TableRequests) -> None:
    requests.submit(REQUEST)
    requests.answer(REQUEST, {})

    requests.delete(REQUEST)

    assert requests.outcome(REQUEST) is None


def test_without_a_registry_there_are_no_requests_and_no_wishes(settings: Settings) -> None:
    control = StreamControl(settings)

    assert control.pending({"gold"}) == []
    assert control.wishes() == {}
    assert not (settings.home / "jobs.sqlite").exists()


def test_a_wish_holds_until_there_is_another(database: Database, settings: Settings) -> None:
    wishes, control = StreamWishes(database), StreamControl(settings)

    wishes.pause("gold")
    wishes.restart("silver-kraken")
    wishes.restart("silver-kraken")
    paused = control.wishes()
    wishes.restart("gold")
    control.close()

    assert paused == {"gold": (True, 0), "silver-kraken": (False, 2)}
    assert wishes.all()["gold"] == (False, 1)
