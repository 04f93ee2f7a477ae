"""How a live feed's producer is set, and what its statistics say."""

from collections.abc import Mapping
from typing import Any

import orjson

from k2.connectors.kafka import MAX_MESSAGE_BYTES, client_settings

MAX_QUEUED = 50_000  # records in the producer's memory


def producer_settings(bootstrap: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a producer that repeats no record and gives none up."""
    return {
        **client_settings(bootstrap),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "socket.nagle.disable": True,  # else a small batch waits for the answer to the one before
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": MAX_QUEUED * 2,
        "queue.buffering.max.kbytes": 131_072,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "message.timeout.ms": 0,  # never: what is not delivered waits
        "delivery.report.only.error": True,
        "statistics.interval.ms": 5_000,
        **extra,
    }


def broker_seconds(statistics: str) -> float:
    """Return how long 99 of 100 records took to the slowest broker's answer: in our queue, there and back.

    ``statistics`` are librdkafka's (STATISTICS.md), of the last interval.
    """
    brokers = orjson.loads(statistics).get("brokers", {}).values()
    waits = [broker["int_latency"]["p99"] + broker["rtt"]["p99"] for broker in brokers]
    return max(waits, default=0) / 1e6
