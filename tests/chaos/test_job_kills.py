"""The service killed at every named point, ten times each."""

import signal
from pathlib import Path

import pytest

from k2.jobs.fault_points import POINTS
from tests.support.job_kills import kill_and_check

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("count", range(1, 11))
@pytest.mark.parametrize("point", POINTS)
def test_a_service_killed_at_a_point_loses_nothing(tmp_path: Path, point: str, count: int) -> None:
    # There are three jobs to begin and to end, and a dozen steps and more events.
    few = point.startswith(("run-", "pause-"))

    code = kill_and_check(tmp_path / "home", point, 1 + (count - 1) % (3 if few else 10))

    assert code == -signal.SIGKILL
