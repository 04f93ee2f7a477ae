"""What happens to the connections of a live feed: to its journal, its metrics and the log."""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from k2.exchanges.live import LiveService, Notice
from k2.feeds.live.connection import Connection, describe
from k2.feeds.live.failures import FeedFailure
from k2.feeds.live.feed_metrics import FeedMetrics
from k2.feeds.live.journal import FeedJournal

log = structlog.get_logger("k2.feeds")

MAX_LAG_SECONDS = 5.0  # from the exchange's time of a trade to its arrival


@dataclass
class SessionEvents:
    """The listener of a service's sessions. ``on_newest`` is told the newest number of a market.

    ``failure`` is set by an exchange that refuses a market, which ends nothing by itself.
    """

    service: LiveService
    journal: FeedJournal
    metrics: FeedMetrics
    on_newest: Callable[[str, int], None]
    failure: FeedFailure | None = None
    _subscribed: set[str] = field(default_factory=set)
    _is_lagging: bool = False

    def connected(self, connection: Connection) -> None:
        """Note a new connection."""
        self.metrics.connected(1)
        self.journal.write(
            "connected", session=connection.session, markets=list(connection.markets)
        )
        log.info("feed_connected", service=self.service.name, session=connection.session)

    def subscribing(self, connection: Connection) -> None:
        """Note that a connection has asked for its markets, which an earlier one may have had."""
        again = self._subscribed.issuperset(connection.markets)
        self._subscribed.update(connection.markets)
        self.journal.write(
            "resubscribe" if again else "subscribe",
            session=connection.session,
            markets=list(connection.markets),
        )

    def disconnected(self, connection: Connection, failure: FeedFailure) -> None:
        """Note the end of a connection."""
        self.metrics.connected(-1)
        self.metrics.reconnect(failure.kind)
        self.journal.write(
            "disconnected",
            session=connection.session,
            markets=list(connection.markets),
            reason=failure.text,
            kind=failure.kind,
            messages=connection.messages,
        )
        log.info("feed_disconnected", service=self.service.name, reason=failure.text)

    def not_connected(self, service: LiveService, failure: FeedFailure, pause: float) -> None:
        """Note a failed attempt, or the pause after a connection's end."""
        self.metrics.reconnect(failure.kind)
        self.journal.write(
            "waiting", reason=failure.text, kind=failure.kind, seconds=round(pause, 1)
        )
        log.warning(
            "feed_waits", service=service.name, reason=failure.text, seconds=round(pause, 1)
        )

    def noticed(self, notice: Notice, connection: Connection) -> None:
        """Take what the exchange says beside its trades."""
        if notice.kind == "heartbeat":
            if notice.last is not None and notice.markets:
                self.on_newest(notice.markets[0], notice.last)
            return
        if notice.kind == "refused":
            reason = f"{describe(notice.markets)}: {notice.reason}"
            self.failure = self.failure or FeedFailure("refused", reason, permanent=True)
            log.error("market_refused", service=self.service.name, reason=reason)
        elif notice.kind == "failed":
            log.warning("feed_error", service=self.service.name, reason=notice.reason)
        self.journal.write(
            notice.kind,
            session=connection.session,
            markets=list(notice.markets),
            reason=notice.reason,
        )

    def look(self) -> None:
        """Note when trades begin to come late, and when they do not any more. Once a second."""
        seconds = self.metrics.latency_seconds
        is_lagging = seconds > MAX_LAG_SECONDS
        if is_lagging == self._is_lagging:
            return
        self._is_lagging = is_lagging
        self.journal.write("lag" if is_lagging else "lag_over", seconds=round(seconds, 3))
        log.warning("feed_lag", service=self.service.name, seconds=round(seconds, 3))
