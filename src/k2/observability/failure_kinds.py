"""What a stream died of, as one of a few words that metrics can carry."""

import re

from k2.errors import FULL_DISK, ContractError, DataLossError, UnavailableError

# From the most telling to the least: a full disk also breaks the checkpoint, and is the cause.
_TELLING: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("memory", re.compile(r"OutOfMemoryError|GC overhead limit|Java heap space|exit code 137")),
    ("disk", FULL_DISK),
    (
        "checkpoint",
        re.compile(
            r"checkpoints?/|CheckpointFileManager|CANNOT_LOAD_CHECKPOINT|CANNOT_WRITE_STATE_STORE"
            r"|HDFSMetadataLog|CommitLog|OffsetSeqLog|CONCURRENT_STREAM_LOG_UPDATE",
            re.I,
        ),
    ),
    ("jvm_gone", re.compile(r"JVM (is gone|no longer answers)|Answer from Java side is empty")),
    ("registry", re.compile(r"registry", re.I)),
    ("kafka", re.compile(r"kafka", re.I)),
)
FAILURE_KINDS = (*(kind for kind, _ in _TELLING), "data_loss", "contract", "other")


def failure_kind(error: BaseException | str) -> str:
    """Return the word of :data:`FAILURE_KINDS` for an error, by its type and its text."""
    if isinstance(error, DataLossError):
        return "data_loss"
    if isinstance(error, ContractError):
        return "contract"
    text = str(error)
    found = next((kind for kind, telling in _TELLING if telling.search(text)), "other")
    if found == "other" and isinstance(error, UnavailableError):
        return "kafka"
    return found
