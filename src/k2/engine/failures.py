"""What a dead query died of: one K2 error with a sentence and, from it, whether to try again."""

import re

from k2.engine.stream import StreamHandle
from k2.errors import (
    DataLossError,
    FailedError,
    K2Error,
    UnavailableError,
    first_line,
    is_full_disk,
)

_DATA_LOSS = re.compile(
    r"KAFKA_DATA_LOSS|failOnDataLoss|data may have been lost|Partition.*offset was changed", re.I
)
_UNANSWERED = re.compile(
    r"TimeoutException|DisconnectException|UnknownTopicOrPartition|Failed to get (offsets|metadata)"
    r"|Connection refused|Cannot fetch record|NetworkException|describeTopics",
    re.I,
)

# Delta's names for a commit that met another one.
_CHANGED_MEANWHILE = re.compile(
    r"Concurrent(Append|Transaction|Write|DeleteRead|DeleteDelete)Exception|DELTA_CONCURRENT"
    r"|DELTA_METADATA_CHANGED|(Metadata|Protocol)ChangedException|DELTA_PROTOCOL_CHANGED"
)


def cause_of(running: StreamHandle) -> K2Error:
    """Return why a query ended."""
    if isinstance(running.failure, K2Error):
        return running.failure
    if running.failure is not None:
        kind = type(running.failure).__name__
        return classify(running.stream.name, f"{kind}: {running.failure}")
    try:
        exception = running.query.exception()
    except Exception as error:
        return FailedError(f"Spark's JVM no longer answers: {first_line(str(error))}")
    if exception is None:
        return FailedError(f"Stream {running.stream.name} stopped without an error.")
    return classify(running.stream.name, exception)


def classify(stream: str, exception: Exception | str) -> K2Error:
    """Turn Spark's account of a failure into K2's."""
    text = str(exception)
    if is_full_disk(text):
        return FailedError(f"Stream {stream}: the disk is full. Free space, then start again.")
    if _DATA_LOSS.search(text):
        return DataLossError(
            f"Stream {stream}: Kafka no longer has records that Bronze has not read (retention, or "
            f"a topic made anew). {first_line(text)}"
        )
    if _CHANGED_MEANWHILE.search(text):
        return UnavailableError(
            f"Stream {stream}: somebody else changed its table at the same moment; the batch runs"
            f" again. {first_line(text)}"
        )
    if _UNANSWERED.search(text):
        return UnavailableError(f"Stream {stream}: Kafka does not answer. {first_line(text)}")
    return FailedError(f"Stream {stream} failed: {first_line(text)}")
