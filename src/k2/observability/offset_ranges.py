"""Describe which records a batch read, so that a record can be followed through the log.

Bronze reads Kafka offsets; Silver and Gold read versions of the tables upstream.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def offset_ranges(progress: Mapping[str, Any]) -> list[str]:
    """Return what a batch read: ``topic-0@120..140`` or ``silver_kraken_trades version 7..9``.

    The first is included, the last is not. Sources of which nothing was read are left out.
    """
    return [
        trace
        for source in progress.get("sources") or []
        for trace in _source(
            str(source.get("description") or ""),
            _parsed(source.get("startOffset")),
            _parsed(source.get("endOffset")),
        )
    ]


def _source(description: str, start: Mapping[str, Any], end: Mapping[str, Any]) -> Iterator[str]:
    if "reservoirVersion" in end:
        if start != end:
            table = description.rstrip("]").rpartition("/")[2]
            versions = f"version {start.get('reservoirVersion', 0)}..{end['reservoirVersion']}"
            yield f"{table} {versions}".strip()
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
