"""The service killed at named points: each job ends once with the right result, no event is lost."""

import signal
from pathlib import Path

import pytest

from k2.jobs.fault_points import POINTS
from tests.support.job_kills import kill_and_check

# Those whose moment is the narrowest; all of them, ten times each, are in tests/chaos.
QUICK = ("run-started", "step-after-work", "run-ended", "event-sent")


@pytest.mark.parametrize("point", QUICK)
def test_a_service_killed_at_a_point_loses_nothing(tmp_path: Path, point: str) -> None:
    code = kill_and_check(tmp_path / "home", point, 2)

    assert point in POINTS
    assert code == -signal.SIGKILL
