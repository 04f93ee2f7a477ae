"""Jobs that are asked for again and again: once a period, and what was missed is not made up for."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from k2.errors import ConfigError, UnavailableError
from k2.jobs.kinds.quality_check import scheduled_checks
from k2.jobs.registry import Registry
from k2.jobs.schedule import JobSchedule, ScheduledJob
from k2.quality.checks.catalogue import CHECKS
from k2.settings import Settings

FIVE = timedelta(minutes=5)
JOB = ScheduledJob("count", {"steps": 1}, FIVE, "one")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule_of(registry: Registry, clock: Clock) -> Callable[..., JobSchedule]:
    return lambda *jobs: JobSchedule(registry, jobs, clock=clock)


def end_all(registry: Registry) -> None:
    with registry.database.writing() as connection:
        connection.execute(text("UPDATE k2_job SET state = 'completed'"))


def looks(schedule: JobSchedule, clock: Clock, seconds: int) -> list[str]:
    """The new jobs of so many seconds."""
    asked = []
    for _ in range(seconds):
        asked += schedule.look_once()
        clock.now += 1
    return asked


def test_a_job_is_asked_for_once_a_period(
    registry: Registry, schedule_of: Callable[..., JobSchedule], clock: Clock
) -> None:
    schedule = schedule_of(JOB)
    asked = []

    for _ in range(31):  # half an hour, a minute each
        asked += schedule.look_once()
        end_all(registry)
        clock.now += 60

    assert len(asked) == len(set(asked)) == 7


def test_a_period_that_was_asked_for_is_not_again_by_a_service_that_starts_anew(
    registry: Registry, schedule_of: Callable[..., JobSchedule]
) -> None:
    first = schedule_of(JOB).look_once()
    end_all(registry)

    again = schedule_of(JOB).look_once()

    assert (len(first), again) == (1, [])


def test_what_a_night_without_service_missed_is_run_once(
    registry: Registry, schedule_of: Callable[..., JobSchedule], clock: Clock
) -> None:
    schedule_of(JOB).look_once()
    end_all(registry)
    clock.now += 8 * 3600

    asked = schedule_of(JOB).look_once()

    assert len(asked) == 1


def test_a_job_that_still_runs_is_not_asked_for_beside_itself(
    registry: Registry, schedule_of: Callable[..., JobSchedule], clock: Clock
) -> None:
    other = ScheduledJob("count", {"steps": 2}, FIVE, "two")
    schedule = schedule_of(JOB, other)
    first = looks(schedule, clock, 60)
    clock.now += 3600

    while_both_run = looks(schedule, clock, 60)
    end_all(registry)
    after = looks(schedule, clock, 60)

    assert (len(first), while_both_run, len(after)) == (2, [], 2)


def test_jobs_that_are_all_due_at_the_start_come_one_after_another(
    schedule_of: Callable[..., JobSchedule], clock: Clock
) -> None:
    periods = [timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)]
    jobs = [
        ScheduledJob("count", {"steps": n}, every, f"{n}") for n, every in enumerate(periods, 1)
    ]
    schedule = schedule_of(*jobs)

    asked = [len(looks(schedule, clock, 10)) for _ in range(6)]

    assert asked == [1, 0, 1, 0, 1, 0]


def test_a_clock_that_is_set_back_holds_no_job_up(
    registry: Registry, schedule_of: Callable[..., JobSchedule], clock: Clock
) -> None:
    schedule = schedule_of(JOB)
    schedule.look_once()
    end_all(registry)
    clock.now -= 3600

    assert len(schedule.look_once()) == 1


def test_jobs_of_one_period_do_not_all_come_at_once(
    registry: Registry, schedule_of: Callable[..., JobSchedule], clock: Clock
) -> None:
    jobs = [ScheduledJob("count", {"steps": n}, FIVE, f"job-{n}") for n in range(1, 6)]
    schedule = schedule_of(*jobs)
    schedule.look_once()
    end_all(registry)
    most = 0

    for _ in range(60):
        clock.now += 5
        most = max(most, len(schedule.look_once()))
        end_all(registry)

    assert most == 1


def test_a_registry_that_does_not_answer_is_asked_again(
    registry: Registry, schedule_of: Callable[..., JobSchedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = schedule_of(JOB)
    with monkeypatch.context() as patched:

        def refuse(*_: object, **__: object) -> None:
            raise UnavailableError("The registry is locked.")

        patched.setattr(Registry, "submit", refuse)
        with pytest.raises(UnavailableError):
            schedule.look_once()

    assert len(schedule.look_once()) == 1


def periods_of(settings: Settings) -> dict[str, timedelta]:
    return {
        name: job.every
        for job in scheduled_checks(settings)
        for name in job.params["check"].split(",")
    }


def test_a_registry_that_does_not_answer_is_warned_of_once_until_it_does(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnavailableError("The registry is locked.")

    looks: list[Callable[[], None]] = []
    monkeypatch.setattr(
        "k2.jobs.schedule.PeriodicTask", lambda _name, _seconds, work: looks.append(work)
    )
    JobSchedule(registry, [JOB], clock=clock)
    (look,) = looks
    clock.now += 3600

    with capture_logs() as logs:
        for answers in (False, False, True, False):
            clock.now += 600
            with monkeypatch.context() as patched:
                if not answers:
                    patched.setattr(Registry, "submit", refuse)
                look()
            end_all(registry)

    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["schedule_waits"] * 2


@pytest.mark.parametrize(("seconds", "is_wanted"), [(30, True), (3_600, False)])
def test_nothing_is_asked_for_while_a_service_starts_or_has_no_tables_to_look_at(
    registry: Registry,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    is_wanted: bool,
) -> None:
    looks: list[Callable[[], None]] = []
    monkeypatch.setattr(
        "k2.jobs.schedule.PeriodicTask", lambda _name, _seconds, work: looks.append(work)
    )
    JobSchedule(registry, [JOB], lambda: is_wanted, clock=clock)
    clock.now += seconds

    looks[0]()

    assert registry.jobs() == []


def test_every_check_is_scheduled_as_its_definition_says() -> None:
    assert periods_of(Settings.load()) == {c.name: c.every for c in CHECKS}


def test_checks_of_one_period_are_one_job() -> None:
    jobs = scheduled_checks(Settings.load())

    assert len(jobs) == len({c.every for c in CHECKS})
    assert all(job.kind == "quality-check" for job in jobs)


def test_a_setting_changes_a_period_or_leaves_the_check_to_people() -> None:
    settings = Settings.load(quality_periods={"freshness": 60.0, "prices": 0.0})

    every = periods_of(settings)

    assert every["freshness"] == timedelta(minutes=1)
    assert "prices" not in every


def test_a_period_of_a_check_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="No check 'fresh'; there are dead-letters"):
        scheduled_checks(Settings.load(quality_periods={"fresh": 60.0}))


def test_a_period_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="K2_QUALITY_PERIODS"):
        Settings.load(quality_periods={"freshness": -1.0})
