"""What happens to a live feed, as events: to ``market.crypto.feed.events`` and the table of sessions."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from k2.feeds.live.spool import FeedRecord

EVENTS_TOPIC = "market.crypto.feed.events"


@dataclass
class FeedJournal:
    """Writes the events of one service. ``events`` are those that are not in the table yet."""

    exchange: str
    service: str
    send: Callable[[FeedRecord], None]
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    events: list[dict[str, Any]] = field(default_factory=list)

    def write(self, event: str, **facts: Any) -> None:
        """Write one event: ``connected``, ``disconnected``, ``gap_opened`` and the like.

        ``facts`` may have ``session``, ``markets``, ``reason``, ``first`` and ``last``.
        """
        now = self.now_us()
        content = {
            "time_us": now,
            "exchange": self.exchange,
            "service": self.service,
            "event": event,
            **facts,
        }
        self.events.append(content)
        value = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        self.send(FeedRecord(EVENTS_TOPIC, self.service.encode(), value, now // 1000))

    def drain(self) -> list[dict[str, Any]]:
        """Return and forget the events that the table does not have."""
        events, self.events = self.events, []
        return events
