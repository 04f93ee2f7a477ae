"""A client that asks Kafka is kept, and keeps nothing itself."""

import pytest

from k2.connectors import kafka
from k2.connectors.kafka import ClientLog, watermarks
from k2.errors import UnavailableError
from k2.home.ports import free_port

pytestmark = pytest.mark.unit


@pytest.fixture
def nobody() -> str:
    """An address at which nothing listens."""
    return f"127.0.0.1:{free_port()}"


def test_a_broker_that_is_not_there_is_named_each_time(nobody: str) -> None:
    for _ in range(2):
        with pytest.raises(UnavailableError, match=nobody):
            watermarks(nobody, "market.trades", timeout=0.3)


def test_log_lines_of_a_kept_client_do_not_gather_in_it(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(ClientLog, "log", lambda _, level, text, *args: lines.append(text))
    for _ in range(3):
        with pytest.raises(UnavailableError):
            watermarks(nobody, "market.trades", timeout=0.3)

    told = len(lines)
    kafka._asking(nobody).poll(0)

    assert told > 0
    assert len(lines) - told < told  # what came since the last question
