"""A query's progress, each one once: what Spark keeps repeats itself, and what we look at skips."""

import json
from collections.abc import Mapping
from typing import Any, Protocol


class Query(Protocol):
    """What is read of a :class:`~pyspark.sql.streaming.query.StreamingQuery`."""

    @property
    def lastProgress(self) -> Mapping[str, Any] | None: ...
    @property
    def recentProgress(self) -> list[Any]: ...


def is_batch(progress: Mapping[str, Any]) -> bool:
    """Tell whether a progress is one of a batch that ran; others say that there was none."""
    return "addBatch" in (progress.get("durationMs") or {})


class ProgressReader:
    """Reads one run of a query.

    The last progress is cheap to ask for and is all there is, unless its batch is not the next one:
    then Spark is asked for the hundred that it keeps.
    """

    def __init__(self, query: Query) -> None:
        """Begin with the first progress that the query makes."""
        self._query = query
        self._seen = ""  # timestamp of the newest; as text they sort as in time
        self._next: int | None = None  # the batch that comes next; None before the first

    def new(self) -> list[Mapping[str, Any]]:
        """Return what has not been returned yet, oldest first."""
        last = self._query.lastProgress
        if not last or last["timestamp"] <= self._seen:
            return []
        found = [last] if last["batchId"] == self._next else list(self._query.recentProgress)
        fresh = [progress for progress in found if progress["timestamp"] > self._seen]
        for progress in fresh:
            self._seen = progress["timestamp"]
            self._next = progress["batchId"] + is_batch(progress)
        return [_as_spark_wrote(progress) for progress in fresh]


def _as_spark_wrote(progress: Mapping[str, Any]) -> Mapping[str, Any]:
    """Undo what PySpark makes of offsets: the text of a Python dictionary, which is no JSON."""
    from pyspark.sql.streaming.listener import StreamingQueryProgress

    if isinstance(progress, StreamingQueryProgress):
        written: Mapping[str, Any] = json.loads(progress.json)
        return written
    return progress
