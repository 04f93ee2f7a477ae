"""What a dead query died of."""

from types import SimpleNamespace

import pytest

from k2.engine.failures import cause_of, classify
from k2.errors import DataLossError, FailedError, InUseError, UnavailableError
from k2.observability.failure_kinds import failure_kind

pytestmark = pytest.mark.unit

# First lines as Spark and Kafka write them.
LOSS = [
    "[KAFKA_DATA_LOSS.COULD_NOT_READ_OFFSET_RANGE] Some data may have been lost because they are not"
    " available in Kafka any more",
    "Partition t-0's offset was changed from 5 to 2, some data may have been missed.",
    "Cannot fetch offset 3. Some data may have been lost. If you don't want your streaming query to"
    " fail on such cases, set the source option failOnDataLoss to false",
]
SILENCE = [
    "org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment.",
    "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this",
    "Connection refused",
]
CHANGED_MEANWHILE = [
    "io.delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] Files were added",
    "io.delta.exceptions.MetadataChangedException: [DELTA_METADATA_CHANGED] The metadata of the table",
    "io.delta.exceptions.ConcurrentTransactionException: This error occurs when",
]
FULL = [
    "java.io.IOException: No space left on device",
    "OSError: Generic LocalFileSystem error: No space left on device (os error 28)",
    "Disk quota exceeded",
]


def running(failure=None, exception=None):
    return SimpleNamespace(
        stream=SimpleNamespace(name="gold"),
        failure=failure,
        query=SimpleNamespace(exception=lambda: exception),
    )


@pytest.mark.parametrize("text", LOSS)
def test_lost_records_are_data_loss_and_not_worth_a_retry(text):
    error = classify("bronze-kraken", text)

    assert type(error) is DataLossError
    assert not error.retryable
    assert "bronze-kraken" in str(error)
    assert text in str(error)


@pytest.mark.parametrize("text", SILENCE)
def test_a_silent_broker_is_worth_a_retry(text):
    error = classify("bronze-kraken", text)

    assert type(error) is UnavailableError
    assert error.retryable
    assert error.exit_code == 3


@pytest.mark.parametrize("text", CHANGED_MEANWHILE)
def test_a_table_that_somebody_else_changed_is_worth_a_retry(text):
    error = classify("bronze-kraken", text)

    assert error.retryable
    assert "somebody else" in str(error)


@pytest.mark.parametrize("text", FULL)
def test_a_full_disk_is_said_in_a_sentence(text):
    error = classify("gold", text)

    assert type(error) is FailedError
    assert str(error) == "Stream gold: the disk is full. Free space, then start again."


def test_a_full_disk_goes_before_what_follows_from_it():
    text = "No space left on device\nCaused by: java.util.concurrent.TimeoutException"

    assert type(classify("gold", text)) is FailedError


def test_a_silent_broker_is_worth_a_retry_whatever_file_was_open_meanwhile():
    text = "TimeoutException: Timed out\n\tat org.apache.spark.streaming.HDFSMetadataLog.add(x)"

    assert classify("bronze-kraken", text).retryable


def test_anything_else_is_a_failure_with_its_first_line():
    error = classify("gold", "\n  Something odd.  \n\tat org.apache.spark.Foo(Foo.scala)\n")

    assert type(error) is FailedError
    assert str(error) == "Stream gold failed: Something odd."


def test_a_failure_without_words_still_has_a_sentence():
    assert str(classify("gold", "")) == "Stream gold failed: no message"


def test_an_error_of_our_own_is_handed_on_as_it_is():
    error = InUseError("gold_trades is in use")

    assert cause_of(running(error, RuntimeError("Spark's account of it"))) is error


def test_a_failure_in_python_goes_before_sparks_account_of_it():
    error = cause_of(running(ZeroDivisionError("division by zero"), RuntimeError("py4j text")))

    assert str(error) == "Stream gold failed: ZeroDivisionError: division by zero"


def test_a_query_that_ended_without_error_is_a_failure_too():
    assert "stopped without an error" in str(cause_of(running()))


def test_a_jvm_that_is_gone_is_a_failure():
    def gone():
        raise ConnectionError("py4j: nobody there")

    broken = running()
    broken.query.exception = gone

    assert "JVM no longer answers: py4j: nobody there" in str(cause_of(broken))


SHUT_DOWN = (
    "An error occurred while calling o675.save.\n: org.apache.spark.SparkException: Job 14 cancelled because"
    " SparkContext was shut down\n\tat org.apache.spark.scheduler.DAGScheduler"
)


def test_a_job_that_is_told_to_end_in_the_middle_of_a_batch_ends_without_a_failure(monkeypatch):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("k2.engine.failures.time.sleep", interrupt)

    with pytest.raises(KeyboardInterrupt):
        cause_of(running(failure=RuntimeError(SHUT_DOWN)))


def test_a_spark_that_its_master_shut_down_is_a_failure_in_a_sentence(monkeypatch):
    monkeypatch.setattr("k2.engine.failures._SIGNAL_SECONDS", 0.0)

    error = cause_of(running(failure=RuntimeError(SHUT_DOWN)))

    assert type(error) is FailedError
    assert "gold: Spark was shut down in the middle of a batch; the next start" in str(error)
    assert failure_kind(error) == "jvm_gone"


def test_nobody_waits_for_the_end_of_a_stream_that_failed_for_another_reason(monkeypatch):
    def never(_seconds):
        raise AssertionError

    monkeypatch.setattr("k2.engine.failures.time.sleep", never)

    assert "broken" in str(cause_of(running(failure=RuntimeError("broken"))))
