"""Ending a session, also one whose JVM was killed."""

import threading
import warnings
from types import SimpleNamespace

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark import SparkContext

from k2.jvm import session_lifetime as sessions
from k2.jvm.session_lifetime import stop_session

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


class Jvm:
    """The process of a JVM."""

    def __init__(self) -> None:
        self.killed = threading.Event()

    def kill(self) -> None:
        self.killed.set()


class Hanging:
    """A session that stops only when its JVM is killed."""

    def __init__(self, jvm: Jvm) -> None:
        self._jvm = jvm

    def stop(self) -> None:
        self._jvm.killed.wait()
        raise Py4JNetworkError("no answer")


def test_a_session_that_does_not_stop_loses_its_jvm(monkeypatch: pytest.MonkeyPatch) -> None:
    jvm = Jvm()
    monkeypatch.setattr(sessions, "_STOP_SECONDS", 0.1)
    monkeypatch.setattr(SparkContext, "_gateway", SimpleNamespace(proc=jvm))

    stop_session(Hanging(jvm))  # type: ignore[arg-type]

    assert jvm.killed.is_set()


def test_under_spark_submit_there_is_no_jvm_of_ours_to_kill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jvm = Jvm()
    monkeypatch.setattr(sessions, "_STOP_SECONDS", 0.1)
    monkeypatch.setattr(sessions, "_POLITE_SECONDS", 0.1)
    monkeypatch.setattr(SparkContext, "_gateway", SimpleNamespace())

    stop_session(Hanging(jvm))  # type: ignore[arg-type]

    assert not jvm.killed.is_set()
    jvm.kill()  # so that its thread ends
