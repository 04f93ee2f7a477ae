"""The trades that some messages must become."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.checker.expected import Trade, expected_trades
from tests.unit.checker.stored import MESSAGES


@pytest.fixture
def expected(tmp_path: Path) -> dict[tuple[Any, ...], Trade]:
    """A trade of each kind of message, which the recording has twice."""
    recording = tmp_path / "recorded.gz"
    recording.write_bytes(gzip.compress("\n".join((*MESSAGES, *MESSAGES)).encode()))
    return expected_trades([recording])
