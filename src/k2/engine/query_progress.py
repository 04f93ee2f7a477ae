"""Read each progress report of a query exactly once, though Spark repeats some and polling may miss some."""

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
    """Tell whether a progress report is of a batch that ran, rather than of an idle trigger."""
    return "addBatch" in (progress.get("durationMs") or {})


class ProgressReader:
    """Reads one run of a query.

    Spark's last report is cheap to get and is usually the next one. Where batches were missed in between,
    Spark is asked for the hundred reports that it keeps.
    """

    def __init__(self, query: Query) -> None:
        """Begin with the query's first report."""
        self._query = query
        self._seen = ""  # timestamp of the newest; as text they sort as in time
        self._next: int | None = None  # the batch that comes next; None before the first

    def new(self) -> list[Mapping[str, Any]]:
        """Return the reports that were not returned yet, oldest first."""
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
    """Turn PySpark's text of offsets, a Python dictionary's, back into JSON."""
    from pyspark.sql.streaming.listener import StreamingQueryProgress

    if isinstance(progress, StreamingQueryProgress):
        written: Mapping[str, Any] = json.loads(progress.json)
        return written
    return progress
