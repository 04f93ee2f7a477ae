"""The metrics of live feeds: one set a service, in the registry of the feed's process."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from k2.feeds.live.sender import Sender
from k2.observability.feed_catalogue import DISCONNECT_REASONS, FEED, FEED_CATALOGUE
from k2.observability.metrics import StreamMetrics

_SAMPLE_EVERY = 16  # of latencies


@dataclass
class FeedMetrics:
    """What a feed counts. Latencies are of every sixteenth trade."""

    metrics: StreamMetrics
    _trades: int = 0
    _latency_us: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"trades": 0, "other": 0, "rejected": 0})
    trades: int = 0
    reconnects: int = 0
    connections: int = 0
    last_message_us: int = 0
    missing: int = 0
    spool_dropped: int = 0
    _told: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        service: str,
        exchange: str,
        registry: CollectorRegistry,
        beside: "FeedMetrics | None" = None,
    ) -> "FeedMetrics":
        """Register a service's metrics at zero, ``beside`` those of another one in the registry."""
        return cls(
            StreamMetrics(
                *(f"feed-{service}", exchange, FEED, registry),
                is_first=False,
                catalogue=FEED_CATALOGUE,
                beside=beside.metrics if beside else None,
            )
        )

    def message(self, kind: str, received_us: int) -> None:
        """Count a message by what it was."""
        self.counts[kind] += 1
        self.last_message_us = received_us

    @property
    def latency_seconds(self) -> float:
        """How long after its time at the exchange a recent trade came."""
        return self._latency_us / 1e6

    def trade(self, event_us: int, received_us: int, is_new: bool) -> None:
        """Count a trade, and time the way of one that has only now happened."""
        self.trades += 1
        if is_new and self.trades % _SAMPLE_EVERY == 0:
            self._latency_us = received_us - event_us
            self.metrics.observe("k2_feed_latency_seconds", max(self._latency_us, 0) / 1e6)

    def connected(self, change: int) -> None:
        """Count an opened (1) or ended (-1) connection."""
        self.connections += change
        self.metrics.set("k2_feed_connections", self.connections)

    def reconnect(self, reason: str) -> None:
        """Count an ended connection or a failed attempt."""
        self.reconnects += 1
        known = reason if reason in DISCONNECT_REASONS else "closed"
        self.metrics.count("k2_feed_disconnects_total", 1, reason=known)

    def silent_subscription(self) -> None:
        """Count a subscription that is made again since it brings nothing."""
        self.metrics.count("k2_feed_silent_subscriptions_total", 1)

    def hole(self, size: int) -> None:
        """Count trades that did not come."""
        self.missing += size
        self.metrics.count("k2_feed_missing_trades_total", size)

    def dropped(self, records: int) -> None:
        """Count records that a full spool dropped."""
        self.spool_dropped += records
        self.metrics.count("k2_feed_spool_dropped_total", records)

    def look(self, sender: Sender, open_trades: int, final_trades: int, is_broken: bool) -> None:
        """Bring counters and gauges up to date: missing trades, and whether the breaker is open."""
        for kind, count in self.counts.items():
            self._add("k2_feed_messages_total", kind, count, kind=kind)
        self._add("k2_feed_trades_total", "", self.trades)
        self.metrics.set("k2_feed_last_message_timestamp_seconds", self.last_message_us / 1e6)
        self.metrics.set("k2_feed_clock_offset_seconds", self._latency_us / 1e6)
        self.metrics.set("k2_feed_open_gap_trades", open_trades)
        self.metrics.set("k2_feed_final_gap_trades", final_trades)
        self.metrics.set("k2_feed_breaker_open", int(is_broken))
        self.metrics.set("k2_feed_buffered_records", sender.waiting)
        self.metrics.set("k2_feed_spool_bytes", sender.spool.bytes)
        self.metrics.set("k2_feed_broker_latency_seconds", sender.broker_seconds)

    def _add(self, name: str, key: str, count: int, **labels: str) -> None:
        before = self._told.get(name + key, 0)
        if count > before:
            self.metrics.count(name, count - before, **labels)
            self._told[name + key] = count
