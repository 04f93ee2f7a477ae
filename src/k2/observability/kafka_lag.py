"""How far a Kafka source is behind its topic, by the progress of a query."""

import json
from collections.abc import Mapping
from typing import Any


def kafka_lag(source: Mapping[str, Any]) -> int:
    """Return the offsets between a Kafka source's end and the topic's; 0 for other sources."""
    latest, end = (_offsets(source.get(name)) for name in ("latestOffset", "endOffset"))
    return sum(max(0, newest - end.get(partition, 0)) for partition, newest in latest.items())


def _offsets(text: Any) -> dict[tuple[str, str], int]:
    """Read ``{"topic": {"partition": offset}}``; PySpark gives it as text, its JSON as an object."""
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    if not isinstance(value, Mapping):
        return {}
    return {
        (topic, partition): offset
        for topic, partitions in value.items()
        if isinstance(partitions, Mapping)
        for partition, offset in partitions.items()
        if isinstance(offset, int)
    }
