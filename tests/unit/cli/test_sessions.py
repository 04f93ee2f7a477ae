"""Ending a session, also one whose JVM was killed."""

import warnings

import pytest
from py4j.protocol import Py4JNetworkError

from k2.cli.sessions import stop_session

pytestmark = pytest.mark.unit


class Session:
    """Stops as the real one does when its JVM is gone."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = False

    def stop(self) -> None:
        self.asked = True
        warnings.warn("Unable to cleanly shutdown Spark JVM process.", RuntimeWarning, stacklevel=2)
        raise self.error


@pytest.mark.parametrize("error", [Py4JNetworkError("no answer"), ConnectionRefusedError(111)])
def test_a_session_whose_jvm_is_gone_stops_in_silence(error: Exception) -> None:
    session = Session(error)

    stop_session(session)  # type: ignore[arg-type]

    assert session.asked


def test_any_other_error_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="odd"):
        stop_session(Session(ValueError("odd")))  # type: ignore[arg-type]
