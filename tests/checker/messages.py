"""Recorded files → messages, by the checker's own reading of the three line formats."""

import gzip
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import zstandard


class Message(NamedTuple):
    text: str
    received_us: int | None


def messages(path: Path) -> Iterator[Message]:
    with _open(path) as lines:
        for line in lines:
            if not line.strip():
                continue
            message = _message(line.strip())
            if message:
                yield message


def _open(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    if path.suffix == ".zst":
        return zstandard.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _message(line: str) -> Message | None:
    head, _, rest = line.partition(" ")
    if re.fullmatch(r"\d+(\.\d+)?", head) and rest:
        return Message(rest.lstrip(), _to_micros(Decimal(head)))
    if line.startswith('{"t":"'):
        capture = json.loads(line, parse_float=Decimal)
        if capture["t"] != "recv":
            return None
        return Message(capture["data"], _to_micros(Decimal(capture["ts"])))
    return Message(line, None)


def _to_micros(moment: Decimal) -> int:
    """Seconds have 10 digits these decades, milliseconds 13, microseconds 16, nanoseconds 19."""
    digits = len(str(int(moment)))
    exponent = {10: 6, 13: 3, 16: 0, 19: -3}[digits]
    return int(moment.scaleb(exponent))
