"""The one table of failures: what their texts look like, and what each means.

A failure's text determines the kind that metrics carry, the class of K2's error, which says whether a retry may
help, and the sentence that a person reads.
"""

import re
from dataclasses import dataclass

from k2.errors import (
    FULL_DISK,
    ContractError,
    DataLossError,
    FailedError,
    K2Error,
    UnavailableError,
    first_line,
)


@dataclass(frozen=True)
class FailureCause:
    """A cause of failures: the ``pattern`` by which a failure's text is recognised, and what follows from it.

    ``sentence`` may name ``{stream}`` and ``{line}``, the first line of the text.
    """

    kind: str
    pattern: re.Pattern[str]
    error: type[K2Error] = FailedError
    sentence: str = "Stream {stream} failed: {line}"

    def error_for(self, stream: str, text: str) -> K2Error:
        """Return K2's error for a stream that failed with ``text``."""
        return self.error(self.sentence.format(stream=stream, line=first_line(text)))


# By its master, or by a signal: Spark's JVM hears it first, and shuts Spark down before it tells anybody.
SHUT_DOWN = FailureCause(
    "jvm_gone",
    re.compile(r"Spark(Context)? was shut down|stopped SparkContext|RpcEnv already stopped"),
    sentence="Stream {stream}: Spark was shut down in the middle of a batch; the next start repeats it.",
)

# The first that matches counts. A full disk also breaks the checkpoint and lets calls time out, and is
# the cause of both; a broker that does not answer is worth a retry, whatever file was open meanwhile.
_CAUSES = (
    FailureCause(
        "memory",
        re.compile(r"OutOfMemoryError|GC overhead limit|Java heap space|exit code 137"),
    ),
    FailureCause(
        "disk",
        FULL_DISK,
        sentence="Stream {stream}: the disk is full. Free space, then start again.",
    ),
    SHUT_DOWN,
    FailureCause(
        "data_loss",
        re.compile(
            r"KAFKA_DATA_LOSS|failOnDataLoss|data may have been lost"
            r"|Partition.*offset was changed",
            re.I,
        ),
        DataLossError,
        "Stream {stream}: Kafka no longer has records that Bronze has not read (retention, or "
        "a topic made anew). {line}",
    ),
    FailureCause(
        "other",
        # Delta's names for a commit that met another one.
        re.compile(
            r"Concurrent(Append|Transaction|Write|DeleteRead|DeleteDelete)Exception"
            r"|DELTA_CONCURRENT|DELTA_METADATA_CHANGED|(Metadata|Protocol)ChangedException"
            r"|DELTA_PROTOCOL_CHANGED"
        ),
        UnavailableError,
        "Stream {stream}: somebody else changed its table at the same moment; the batch runs"
        " again. {line}",
    ),
    FailureCause(
        "kafka",
        re.compile(
            r"TimeoutException|DisconnectException|UnknownTopicOrPartition"
            r"|Failed to get (offsets|metadata)|Connection refused|Cannot fetch record"
            r"|NetworkException|describeTopics",
            re.I,
        ),
        UnavailableError,
        "Stream {stream}: Kafka does not answer. {line}",
    ),
    FailureCause(
        "checkpoint",
        re.compile(
            r"checkpoints?/|CheckpointFileManager|CANNOT_LOAD_CHECKPOINT|CANNOT_WRITE_STATE_STORE"
            r"|HDFSMetadataLog|CommitLog|OffsetSeqLog|CONCURRENT_STREAM_LOG_UPDATE",
            re.I,
        ),
    ),
    FailureCause(
        "jvm_gone",
        re.compile(r"JVM (is gone|no longer answers)|Answer from Java side is empty"),
    ),
    FailureCause("registry", re.compile(r"registry", re.I)),
    FailureCause("kafka", re.compile(r"kafka", re.I)),
)
_UNKNOWN = FailureCause("other", re.compile(""))
FAILURE_KINDS = tuple(
    dict.fromkeys(
        (*(cause.kind for cause in _CAUSES if cause.kind != "other"), "contract", "other")
    )
)


def find_cause(text: str) -> FailureCause:
    """Return the first cause whose pattern a failure's text has; a cause of kind other if none."""
    return next((cause for cause in _CAUSES if cause.pattern.search(text)), _UNKNOWN)


def failure_kind(error: BaseException | str) -> str:
    """Return the one of :data:`FAILURE_KINDS` that an error is of, by its type and its text."""
    if isinstance(error, DataLossError):
        return "data_loss"
    if isinstance(error, ContractError):
        return "contract"
    cause = find_cause(str(error))
    if cause is _UNKNOWN and isinstance(error, UnavailableError):
        return "kafka"
    return cause.kind
