"""Read each progress report of a query exactly once, though Spark repeats some and polling may miss some."""

import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Protocol


class SparkReport(Protocol):
    """Spark's own report of a trigger."""

    def json(self) -> str: ...


class SparkQuery(Protocol):
    """Spark's own query, whose reports are read one by one.

    PySpark's turns all hundred that Spark keeps into objects of its own whenever it is asked for the recent
    ones: a tenth of a second, in which the streams' own Python stands still.
    """

    def lastProgress(self) -> SparkReport | None: ...
    def recentProgress(self) -> Sequence[SparkReport]: ...


class Query(Protocol):
    """What is read of a :class:`~pyspark.sql.streaming.query.StreamingQuery`."""

    _jsq: SparkQuery


def is_batch(progress: Mapping[str, Any]) -> bool:
    """Tell whether a progress report is of a batch that ran, rather than of an idle trigger."""
    return "addBatch" in (progress.get("durationMs") or {})


class ProgressReader:
    """Reads one run of a query.

    Spark's last report is usually the next one. Where batches were missed in between, the ones before it are
    read, from the newest back.
    """

    def __init__(self, query: Query) -> None:
        """Begin with the query's first report."""
        self._query = query._jsq
        self._seen = ""  # timestamp of the newest; as text they sort as in time
        self._next: int | None = None  # the batch that comes next; None before the first

    def new(self) -> list[Mapping[str, Any]]:
        """Return the reports that were not returned yet, oldest first, as Spark wrote them."""
        report = self._query.lastProgress()
        if report is None or not self._is_new(last := _read(report)):
            return []
        fresh = [last] if last["batchId"] == self._next else self._missed()
        for progress in fresh:
            self._seen = progress["timestamp"]
            self._next = progress["batchId"] + is_batch(progress)
        return fresh

    def _missed(self) -> list[Mapping[str, Any]]:
        reports = self._query.recentProgress()
        newest_first = (_read(reports[place]) for place in reversed(range(len(reports))))
        return list(takewhile(self._is_new, newest_first))[::-1]

    def _is_new(self, progress: Mapping[str, Any]) -> bool:
        return bool(progress["timestamp"] > self._seen)


def _read(report: SparkReport) -> Mapping[str, Any]:
    progress: Mapping[str, Any] = json.loads(report.json())
    return progress
