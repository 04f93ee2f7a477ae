"""The first services to end leave their classes; the next ones start from them."""

from pathlib import Path

import psutil
import pytest

from k2.home.ports import free_port
from k2.jvm.jars import Group, resolve
from k2.local.process import ProcessRecord
from k2.local.services.kafka import Agent
from k2.local.services.monitoring import monitoring_folder
from k2.local.stack import LocalStack
from k2.settings import Settings
from tests.support.jar_cache import archived, cache_without_archives

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    cache = cache_without_archives(tmp_path / "cache", (Group.KAFKA, Group.REGISTRY))
    return Settings.load(home=tmp_path / "home", jar_cache=cache, class_archives=True)


def test_the_second_start_of_the_services_maps_what_the_first_has_left(settings: Settings) -> None:
    with LocalStack(settings) as first:
        assert first.makes_archives
    assert archived(settings.jar_cache) == {"kafka", "registry"}

    with LocalStack(settings) as second:
        assert not second.makes_archives
        assert mapped_archives(settings) == {"kafka", "registry"}


def test_a_broker_with_its_agent_starts_without_an_archive_and_maps_one_made_without(
    settings: Settings,
) -> None:
    (jar,) = resolve(Group.JMX, Settings.load().jar_cache)
    agent = Agent(jar, free_port(), monitoring_folder() / "jmx" / "kafka.yml")

    with LocalStack(settings, agent) as first:
        assert all(health.ready for health in first.health().values())
    assert archived(settings.jar_cache) == {"registry"}
    with LocalStack(settings):
        pass

    with LocalStack(settings, agent):
        assert "kafka" in mapped_archives(settings)


def test_services_that_were_killed_leave_no_archive(settings: Settings) -> None:
    stack = LocalStack(settings)
    stack.start()
    for name in ("kafka", "registry"):
        record = ProcessRecord.load(settings.run / f"{name}.json")
        assert record is not None
        psutil.Process(record.pid).kill()
    stack.stop()

    assert list((settings.jar_cache / "classes").iterdir()) == []


def mapped_archives(settings: Settings) -> set[str]:
    """The services that have their archive in memory: a JVM ignores one that it takes for another's."""
    mapped = set()
    for name in ("kafka", "registry"):
        record = ProcessRecord.load(settings.run / f"{name}.json")
        assert record is not None
        archive = next((settings.jar_cache / "classes").glob(f"{name}-*.jsa"), None)
        areas = {area.path for area in psutil.Process(record.pid).memory_maps()}
        if str(archive) in areas:
            mapped.add(name)
    return mapped
