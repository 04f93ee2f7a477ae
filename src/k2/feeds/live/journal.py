"""What happens to a live feed, as events in ``market.crypto.feed.events``.

The table ``ops_feed_sessions`` is made from that topic (:mod:`k2.feeds.sessions.recorder`).
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from k2.feeds.live.feed_record import FeedRecord

EVENTS_TOPIC = "market.crypto.feed.events"


@dataclass
class FeedJournal:
    """Writes the events of one service."""

    exchange: str
    service: str
    send: Callable[[FeedRecord], None]
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000

    def write(self, event: str, **facts: Any) -> None:
        """Write one event: ``connected``, ``disconnected``, ``gap_opened`` and the like.

        ``facts`` may have ``session``, ``markets``, ``reason``; of a gap ``first``, ``last``, and the
        exchange's times of the trades around it, ``after_us`` and ``before_us``.
        """
        now = self.now_us()
        content = {
            "time_us": now,
            "exchange": self.exchange,
            "service": self.service,
            "event": event,
            **facts,
        }
        value = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        self.send(FeedRecord(EVENTS_TOPIC, self.service.encode(), value, now // 1000))
