"""What the jobs' service tells of its jobs: there from the start, so that a first failure is an increase."""

import pytest

from k2 import errors
from k2.observability import job_metrics
from k2.observability.job_metrics import JobMetrics

pytestmark = pytest.mark.unit


class Numbers:
    """A registry of jobs that has none."""

    def counts(self) -> dict[tuple[str, str], int]:
        return {}

    def idle_seconds(self) -> dict[str, float]:
        return {}

    def undelivered(self) -> dict[str, int]:
        return {"kafka": 0}

    def kind_names(self) -> list[str]:
        return ["drain", "replay"]


def failures(metrics: JobMetrics, kind: str, error: str) -> float | None:
    labels = {"kind": kind, "error": error}
    return metrics.registry.get_sample_value("k2_job_step_failures_total", labels)


@pytest.mark.parametrize("kind", ["drain", "replay"])
def test_a_first_failure_of_a_step_is_an_increase(kind: str) -> None:
    metrics = JobMetrics(Numbers())

    before = failures(metrics, kind, "UnavailableError")
    metrics.step_failed(kind, "UnavailableError")

    assert (before, failures(metrics, kind, "UnavailableError")) == (0, 1)


def test_the_errors_that_are_there_from_the_start_are_k2_s_own() -> None:
    classes = [getattr(errors, name) for name in job_metrics._STEP_ERRORS]

    assert all(issubclass(found, errors.K2Error) for found in classes)


def test_a_run_that_ends_is_counted_by_how_it_ended() -> None:
    metrics = JobMetrics(Numbers())

    metrics.ended("drain", "failed", 2.5)

    counts = {
        outcome: metrics.registry.get_sample_value(
            "k2_job_duration_seconds_count", {"kind": "drain", "outcome": outcome}
        )
        for outcome in ("completed", "failed")
    }
    assert counts == {"completed": 0, "failed": 1}
