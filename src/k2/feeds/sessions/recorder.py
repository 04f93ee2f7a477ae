"""Takes the events of live feeds from Kafka to ``ops_feed_sessions``, each once.

The table says itself how far it is: each commit holds the offset that comes next. So whoever records goes on
from there, and a commit whose writer died is not made twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import structlog

from k2.connectors.committed_reader import CommittedReader, offset_of
from k2.connectors.kafka import topic_id
from k2.errors import InUseError, K2Error
from k2.exchanges.live_services import LIVE_SERVICES
from k2.feeds.live.journal import EVENTS_TOPIC
from k2.feeds.live.markets import MarketNames
from k2.feeds.sessions.rows import EventRecord, rows_of
from k2.feeds.sessions.table import OPS_FEED_SESSIONS
from k2.home.instrument_lists import InstrumentLists
from k2.home.locks import exclusive
from k2.periodic import Trouble
from k2.settings import Settings
from k2.storage.delta import ensure_table, open_table
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId

log = structlog.get_logger("k2.feeds")

_EVENTS_AT_ONCE = 5_000


@dataclass
class SessionRecorder:
    """Records the events of a Kafka in the table of a home. Keep it: it keeps the table open."""

    settings: Settings
    kafka: str
    make_reader: Callable[[str], CommittedReader] = CommittedReader
    find_topic_id: Callable[[str, str], str | None] = topic_id

    def __post_init__(self) -> None:
        self._names = MarketNames(InstrumentLists(self.settings))
        retention = LogRetention(
            self.settings.kept_versions, {}, self.settings.history_minutes * 60
        )
        self._writer = ArrowWriter(self.settings.lake, retention)
        self._trouble = Trouble(log, "feed_sessions_wait")

    def record(self) -> int:
        """Record what is new; return how many events that were. Nothing is made where there are none.

        Raises:
            InUseError: another process records at this moment.
            UnavailableError: Kafka does not answer.
        """
        reader = self.make_reader(self.kafka)
        marks = reader.watermarks(EVENTS_TOPIC)
        if not any(end for _, end in marks.values()):
            return 0
        topic = self.find_topic_id(self.kafka, EVENTS_TOPIC)
        with exclusive(
            self.settings.run / "locks", [OPS_FEED_SESSIONS.name], "events of live feeds"
        ):
            return sum(
                self._record_partition(reader, f"{topic}-{partition}", partition, low, end)
                for partition, (low, end) in sorted(marks.items())
            )

    def try_record(self) -> None:
        """Record what is new; what cannot be recorded now is by the next call."""
        try:
            self.record()
        except InUseError:
            return
        except K2Error as error:
            self._trouble.is_there(error)
        else:
            self._trouble.is_over()

    def _record_partition(
        self, reader: CommittedReader, name: str, partition: int, low: int, end: int
    ) -> int:
        app_id = f"feed-sessions-v1-{name}"
        stored = open_table(self.settings.lake, OPS_FEED_SESSIONS)
        following = (stored.transaction_version(app_id) if stored else None) or 0
        if following >= end:
            return 0
        ensure_table(self.settings.lake, OPS_FEED_SESSIONS)
        lost = max(low - following, 0) if following else 0
        if lost:  # Kafka no longer has them
            log.error("feed_events_lost", count=lost, partition=partition)
        messages = _events(reader, partition, max(following, low), end)
        count = 0
        while records := list(islice(messages, _EVENTS_AT_ONCE)):
            rows = [row for record in records for row in rows_of(record, self._symbol)]
            self._writer.append(
                OPS_FEED_SESSIONS, TxnId(app_id, records[-1].offset + 1), _table(rows)
            )
            count += len(records)
        return count

    def _symbol(self, service: str, name: str) -> str | None:
        found = LIVE_SERVICES.get(service)
        return None if found is None else self._names.symbol(found, name)


def _events(reader: CommittedReader, partition: int, first: int, end: int) -> Iterator[EventRecord]:
    for message in reader.messages(EVENTS_TOPIC, partition, first, end):
        _, time_ms = message.timestamp()
        value = message.value() or b""
        yield EventRecord(value, EVENTS_TOPIC, partition, offset_of(message), time_ms)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=OPS_FEED_SESSIONS.row_schema)
