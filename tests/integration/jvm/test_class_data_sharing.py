"""The first services to end leave their classes; the next ones start from them."""

from pathlib import Path

import psutil
import pytest

from k2.jvm.jars import Group
from k2.local.process import ProcessRecord
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
        for name in ("kafka", "registry"):
            record = ProcessRecord.load(settings.run / f"{name}.json")
            assert record is not None
            archive = next((settings.jar_cache / "classes").glob(f"{name}-*.jsa"))
            mapped = {area.path for area in psutil.Process(record.pid).memory_maps()}
            assert str(archive) in mapped, "the JVM took it for another's"


def test_services_that_were_killed_leave_no_archive(settings: Settings) -> None:
    stack = LocalStack(settings)
    stack.start()
    for name in ("kafka", "registry"):
        record = ProcessRecord.load(settings.run / f"{name}.json")
        assert record is not None
        psutil.Process(record.pid).kill()
    stack.stop()

    assert list((settings.jar_cache / "classes").iterdir()) == []
