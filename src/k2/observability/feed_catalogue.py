"""The metrics of live feeds, beside those of the streams in :mod:`k2.observability.metrics`."""

from k2.observability.metrics import Metric

FEED = "feed"  # the layer label

# Why a connection is gone, or none could be opened.
DISCONNECT_REASONS = (
    *("closed", "restart", "limited", "refused", "unreachable", "timeout", "protocol"),
    *("silent", "oversized", "planned", "stopped", "server_error", "tls"),
)
_LATENCY_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 60)


def _counter(name: str, help: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, "counter", help, labels, (FEED,))


def _gauge(name: str, help: str) -> Metric:
    return Metric(name, "gauge", help, {}, (FEED,))


FEED_CATALOGUE: tuple[Metric, ...] = (
    _counter(
        "k2_feed_messages_total",
        "Messages of an exchange's live service, by what they were.",
        kind=("trades", "other", "rejected"),
    ),
    _counter("k2_feed_trades_total", "Trades of a live service."),
    _counter(
        "k2_feed_disconnects_total",
        "Connections that ended and attempts that failed, by cause.",
        reason=DISCONNECT_REASONS,
    ),
    _counter(
        "k2_feed_silent_subscriptions_total",
        "Subscriptions that brought nothing while the exchange had trades, and were made again.",
    ),
    _counter("k2_feed_missing_trades_total", "Trades that did not come, by their numbers."),
    _counter("k2_feed_spool_dropped_total", "Records that a full spool dropped."),
    Metric(
        "k2_feed_latency_seconds",
        "histogram",
        "From the exchange's time of a trade to its arrival, of every sixteenth trade.",
        {},
        (FEED,),
        _LATENCY_SECONDS,
    ),
    _gauge(
        "k2_feed_broker_latency_seconds",
        "From a record's way into the producer to the broker's answer: 99 of 100 in the last 5 s.",
    ),
    _gauge("k2_feed_connections", "Open connections of a live service."),
    _gauge("k2_feed_last_message_timestamp_seconds", "When the newest message came; 0 before."),
    _gauge(
        "k2_feed_clock_offset_seconds",
        "Arrival of a recent trade minus its time at the exchange; negative when our clock is slow.",
    ),
    _gauge("k2_feed_open_gap_trades", "Trades that are missing and may still come."),
    _gauge("k2_feed_final_gap_trades", "Trades that are missing and that nobody offers any more."),
    _gauge("k2_feed_buffered_records", "Records that Kafka has not taken yet."),
    _gauge("k2_feed_spool_bytes", "Size of the records that wait on disk."),
    _gauge("k2_feed_breaker_open", "1 while an exchange has failed too often to be asked at once."),
)
