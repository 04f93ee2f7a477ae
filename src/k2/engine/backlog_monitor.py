"""What is measured beside the streams, by a thread: a stream that hangs cannot say how far it is."""

import threading
import time
from collections.abc import Iterable, Sequence

import structlog
from deltalake.exceptions import DeltaError

from k2.connectors.committed_reader import CommittedReader
from k2.engine.rows_available import RowsAvailable
from k2.engine.stream_task import StreamTask
from k2.errors import ContractError, K2Error
from k2.exchanges import EXCHANGES
from k2.home.endpoints import find_endpoints
from k2.observability.engine_metrics import EngineMetrics
from k2.quality.recent_balance import RecentBalance
from k2.settings import Settings
from k2.storage.table import Layer

log = structlog.get_logger("k2.measuring")

BACKLOG_SECONDS = 5.0
BALANCE_SECONDS = 60.0
_SHARE = 0.02  # of the clock that looking at the balance may take


class BacklogMonitor:
    """Sets each stream's backlog every five seconds, and where Gold runs the balance every minute."""

    def __init__(
        self, metrics: EngineMetrics, tasks: Sequence[StreamTask], settings: Settings
    ) -> None:
        """Measure the streams of ``tasks``."""
        self._metrics = metrics
        self._tasks = tasks
        self._rows_available = RowsAvailable(settings.lake, tasks)
        self._settings = settings
        self._balances = [
            RecentBalance(settings.lake, exchange, self._committed_offsets)
            for exchange in EXCHANGES
        ]
        self._has_gold = any(task.stream.name == Layer.GOLD for task in tasks)
        self._balance_at = time.monotonic() + BALANCE_SECONDS
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="k2-measuring", daemon=True)

    def start(self) -> None:
        """Start to measure."""
        self._thread.start()

    def stop(self) -> None:
        """End after the measurement in hand."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def backlogs(self) -> None:
        """Set every stream's backlog; one whose upstream does not answer keeps its own."""
        for task in self._tasks:
            try:
                there = self._rows_available.of(task)
            except K2Error:  # an alert of its own says that Kafka is down
                continue
            self._metrics.backlog(task.stream.name, there - task.rows_in)

    def balances(self) -> None:
        """Set every exchange's balance."""
        for balance in self._balances:
            if not self._ending.is_set():
                self._metrics.balance(balance.exchange.name, balance.differences())

    def _committed_offsets(self, topic: str, partition: int, first: int, end: int) -> Iterable[int]:
        reader = CommittedReader(find_endpoints(self._settings).kafka)
        return reader.committed_offsets(topic, partition, first, end)

    def _run(self) -> None:
        while not self._ending.wait(BACKLOG_SECONDS):
            try:
                self.backlogs()
                if self._has_gold and time.monotonic() >= self._balance_at:
                    began = time.monotonic()
                    self.balances()
                    took = time.monotonic() - began
                    self._balance_at = began + max(BALANCE_SECONDS, took / _SHARE)
            except (ContractError, DeltaError, OSError, ValueError) as error:
                # A table that is written or cleaned up just now: the next look has it.
                log.warning("not_measured", reason=str(error)[:200])
