"""A drain by a job: its command's failure is the job's, and a wrong time is no job."""

import pytest

from k2.errors import ConfigError
from k2.jobs.kinds import KINDS
from k2.settings import Settings
from tests.support.jobs import engine_of, run_to_end

pytestmark = pytest.mark.unit


def test_without_kafka_the_job_fails_in_its_first_step_and_says_how_to_start_it(
    settings: Settings,
) -> None:
    with engine_of(settings, KINDS) as engine:
        done = run_to_end(engine, "drain", {"timeout_seconds": 5})
        (step,) = engine.registry.steps(done.id)

    assert done.error is not None
    assert (done.error["class"], done.error["exit_code"]) == ("UnavailableError", 3)
    assert done.error["message"].startswith(f"No Kafka is known for {settings.home}; start it")
    # The command has tried for as long as it may: the job does not start it again by itself.
    assert (step.name, step.attempts) == ("bronze", 1)


@pytest.mark.parametrize("seconds", [0, -1, 100_000, "soon"])
def test_a_time_that_is_none_is_refused(seconds: object) -> None:
    with pytest.raises(ConfigError, match="drain: timeout_seconds="):
        KINDS.named("drain").validated({"timeout_seconds": seconds})
