"""Which records a batch read, so that a record can be followed from log line to log line.

Bronze reads Kafka offsets; Silver and Gold read versions of the tables upstream.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def batch_trace(progress: Mapping[str, Any]) -> list[str]:
    """Return what a batch read: ``topic-0@120..140`` (from, up to but without) or ``version 7..9``."""
    return [
        trace
        for source in progress.get("sources") or []
        for trace in _source(_parsed(source.get("startOffset")), _parsed(source.get("endOffset")))
    ]


def _source(start: Mapping[str, Any], end: Mapping[str, Any]) -> Iterator[str]:
    if "reservoirVersion" in end:
        yield f"version {start.get('reservoirVersion', 0)}..{end['reservoirVersion']}"
        return
    for topic, partitions in end.items():
        if not isinstance(partitions, Mapping):
            continue
        begun = start.get(topic) or {}
        for partition, offset in partitions.items():
            if (first := begun.get(partition, 0)) != offset:
                yield f"{topic}-{partition}@{first}..{offset}"


def _parsed(offset: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(offset) if isinstance(offset, str) else offset
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}
