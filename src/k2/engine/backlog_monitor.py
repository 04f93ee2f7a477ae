"""Measure backlogs and balances in a thread of their own: a stream that hangs cannot report its backlog."""

import time
from collections.abc import Sequence

import structlog
from deltalake.exceptions import DeltaError

from k2.engine.rows_available import RowsAvailable
from k2.engine.stream_task import StreamTask
from k2.errors import K2Error
from k2.observability.engine_metrics import EngineMetrics
from k2.periodic import PeriodicTask
from k2.settings import Settings

log = structlog.get_logger("k2.measuring")

BACKLOG_SECONDS = 5.0
BALANCE_SECONDS = 60.0
_MAX_BALANCE_SHARE = 0.02  # of the clock that looking at the balance may take


class BacklogMonitor:
    """Sets each stream's backlog every five seconds, and runs the streams' checks every minute."""

    def __init__(
        self, metrics: EngineMetrics, tasks: Sequence[StreamTask], settings: Settings
    ) -> None:
        """Measure the streams of ``tasks``."""
        self._metrics = metrics
        self._tasks = tasks
        self._rows_available = RowsAvailable(settings.lake, tasks)
        self._has_checks = any(task.stream.checks for task in tasks)
        self._balance_at = time.monotonic() + BALANCE_SECONDS
        self._thread = PeriodicTask("k2-measuring", BACKLOG_SECONDS, self._measure)

    def start(self) -> None:
        """Start to measure."""
        self._thread.start()

    def stop(self) -> None:
        """End after the measurement in hand."""
        self._thread.stop()

    def backlogs(self) -> None:
        """Set every stream's backlog; one whose upstream does not answer keeps its own."""
        for task in self._tasks:
            try:
                available = self._rows_available.of(task)
            except K2Error:  # an alert of its own says that Kafka is down
                continue
            self._metrics.backlog(task.stream.name, available - task.rows_in)

    def balances(self) -> None:
        """Set every exchange's balance, among the metrics of the stream that has the check."""
        for task in self._tasks:
            for check in task.stream.checks:
                if not self._thread.is_stopping:
                    exchange, differences = check.exchange.name, check.differences()
                    self._metrics.balance(task.stream.name, exchange, differences)

    def _measure(self) -> None:
        try:
            self.backlogs()
            if self._has_checks and time.monotonic() >= self._balance_at:
                began = time.monotonic()
                self.balances()
                took = time.monotonic() - began
                self._balance_at = began + max(BALANCE_SECONDS, took / _MAX_BALANCE_SHARE)
        except (DeltaError, K2Error, OSError, ValueError) as error:
            # A table that is written or cleaned up just now: the next look has it.
            log.warning("not_measured", reason=str(error)[:200])
