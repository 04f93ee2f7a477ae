"""Spark is told of a failed batch in few words: it searches them with an expression that overflows."""

import pytest
from py4j.protocol import Py4JJavaError

from k2.engine.batch_failure import batch_failure
from k2.errors import UnavailableError

pytestmark = pytest.mark.unit

TRACE = "\n".join(f"\tat org.apache.spark.Deep.call(Deep.scala:{line})" for line in range(2_000))


class Java(Py4JJavaError):
    """Java's error without a Java that would be asked for its trace."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def test_a_java_error_keeps_its_type_and_loses_its_trace() -> None:
    said = "An error occurred while calling o7.count.\n: java.lang.InterruptedException: asleep\n"

    told = str(batch_failure(Java(said + TRACE)))

    assert "An error occurred while calling o7.count." in told
    assert "java.lang.InterruptedException" in told
    assert "Deep.scala" not in told


def test_an_error_of_many_words_is_cut() -> None:
    assert len(str(batch_failure(ValueError("x" * 100_000)))) < 500


def test_an_error_is_told_with_its_type() -> None:
    told = str(batch_failure(UnavailableError("Kafka does not answer.")))

    assert told == "k2.errors.UnavailableError: Kafka does not answer."
