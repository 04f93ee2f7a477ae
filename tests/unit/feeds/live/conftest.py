"""Feeds whose tests have no time to wait."""

import pytest

from k2.feeds.live import failures, gap_filler, refill, session
from k2.retry import RetryPolicy


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have feeds try again at once, and ask the history soon."""
    soon = RetryPolicy(attempts=6, first_seconds=0.05, max_seconds=0.3)
    monkeypatch.setattr(refill, "REQUESTS", soon)
    monkeypatch.setattr(gap_filler, "WAITS", soon)
    monkeypatch.setattr(gap_filler, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(session, "MIN_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(failures, "PAUSES", soon)
