"""How streams hear of requests and wishes: through the registry, once there is one, and not after it is gone."""

from pathlib import Path

import pytest

from k2.engine.table_requests import Request
from k2.errors import FailedError, UnavailableError
from k2.jobs.database import Database
from k2.jobs.engine import prepare
from k2.jobs.stream_control import StreamControl
from k2.jobs.table_requests import TableRequests
from k2.settings import Settings

REQUEST = Request("maintain", "gold", {"dry_run": True}, "id-1")


@pytest.fixture
def requests(database: Database) -> TableRequests:
    asked = TableRequests(database)
    asked.submit(REQUEST)
    return asked


def test_an_owner_takes_a_request_works_at_it_and_answers(
    requests: TableRequests, settings: Settings
) -> None:
    control = StreamControl(settings)

    (found,) = control.pending({"gold"})
    begun = control.begin(found)
    wanted = control.is_wanted(found)
    control.answer(found, {"files": 3})
    control.close()

    assert (found, begun, wanted) == (REQUEST, True, True)
    assert requests.outcome(REQUEST) == {"files": 3}
    assert requests.pending({"gold"}) == []


def test_an_error_of_the_owner_is_the_answer(requests: TableRequests, settings: Settings) -> None:
    control = StreamControl(settings)

    control.answer(REQUEST, FailedError("the disk is full"))
    control.close()

    with pytest.raises(FailedError, match="the disk is full"):
        requests.outcome(REQUEST)


def test_an_owner_that_stops_puts_a_request_back_and_sees_whether_it_is_still_wanted(
    requests: TableRequests, settings: Settings
) -> None:
    control = StreamControl(settings)
    control.begin(REQUEST)
    in_work = requests.withdraw(REQUEST)

    wanted = control.is_wanted(REQUEST)
    control.put_back(REQUEST)
    control.close()

    assert (in_work, wanted) == (True, False)
    assert not requests.withdraw(REQUEST)


def test_streams_that_started_before_the_first_service_hear_of_it(settings: Settings) -> None:
    control = StreamControl(settings)
    before = control.pending({"gold"})
    database = Database(settings)
    prepare(database)
    TableRequests(database).submit(REQUEST)

    after = control.pending({"gold"})
    control.close()
    database.close()

    assert (before, after) == ([], [REQUEST])


def test_a_request_whose_registry_was_removed_cannot_be_answered(
    settings: Settings, tmp_path: Path
) -> None:
    control = StreamControl(settings)

    for call in (control.begin, control.is_wanted, control.put_back):
        with pytest.raises(UnavailableError, match="registry is gone, and with it the request"):
            call(REQUEST)
    with pytest.raises(UnavailableError, match="registry is gone"):
        control.answer(REQUEST, {})
