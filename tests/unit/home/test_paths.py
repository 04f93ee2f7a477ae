"""K2_HOME: made, checked and locked; and what a dead run noted there."""

import json
import os
from pathlib import Path

import pytest

from k2.errors import ConfigError, InUseError
from k2.home.paths import HomeLock, prepare_home
from k2.local.orphans import clean_orphans, find_orphans, read_endpoints, run_owner
from k2.local.process import ProcessRecord
from k2.local.services.service import Endpoints
from k2.settings import Settings

pytestmark = pytest.mark.unit

ENDPOINTS = {"kafka": "127.0.0.1:9", "registry": "http://127.0.0.1:8"}


@pytest.fixture
def noted(settings: Settings) -> Settings:
    """A home whose run notes its endpoints and this process as its owner."""
    prepare_home(settings)
    (settings.run / "endpoints.json").write_text(json.dumps(ENDPOINTS))
    ProcessRecord.of(os.getpid(), "").save(settings.run / "owner.json")
    return settings


def forget_owner(settings: Settings) -> None:
    ProcessRecord(os.getpid(), "another start", "").save(settings.run / "owner.json")


def test_a_home_is_made_with_its_folders(settings: Settings) -> None:
    prepare_home(settings)

    assert {path.name for path in settings.home.iterdir()} == {"run", "logs", "kafka", "registry"}
    assert not list(settings.run.iterdir())


def test_a_home_that_is_a_file_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "home").touch()

    with pytest.raises(ConfigError, match=r"K2_HOME=.*/home cannot be used: Not a directory"):
        prepare_home(Settings.load(home=tmp_path / "home"))


def test_a_home_that_cannot_be_written_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="K2_HOME=/proc/k2 cannot be used"):
        prepare_home(Settings.load(home=Path("/proc/k2")))


def test_a_home_in_use_names_the_process_that_has_it(settings: Settings) -> None:
    first = HomeLock(settings)
    first.acquire()

    with pytest.raises(InUseError, match=rf"process {os.getpid()}.*k2 down"):
        HomeLock(settings).acquire()

    first.release()


def test_a_home_given_back_can_be_taken(settings: Settings) -> None:
    first, second = HomeLock(settings), HomeLock(settings)
    first.acquire()
    first.release()

    second.acquire()

    assert (first.held, second.held) == (False, True)
    second.release()


def test_the_endpoints_of_a_run_in_progress_are_read(noted: Settings) -> None:
    assert read_endpoints(noted) == Endpoints(**ENDPOINTS)


def test_the_endpoints_of_a_killed_run_are_not_believed(noted: Settings) -> None:
    forget_owner(noted)

    assert run_owner(noted) is None
    assert read_endpoints(noted) is None


@pytest.mark.parametrize("text", ["", "[]", '{"kafka": "x"}'])
def test_broken_endpoints_are_none(noted: Settings, text: str) -> None:
    (noted.run / "endpoints.json").write_text(text)

    assert read_endpoints(noted) is None


def test_a_home_that_never_ran_has_no_endpoints_and_nothing_to_clean(settings: Settings) -> None:
    assert read_endpoints(settings) is None
    assert clean_orphans(settings) == []
    assert not settings.home.exists()


def test_cleaning_forgets_a_killed_run_and_leaves_a_recycled_number_alone(noted: Settings) -> None:
    forget_owner(noted)
    ProcessRecord(os.getpid(), "1", "-Dk2.kafka=x").save(noted.run / "kafka.json")

    assert find_orphans(noted) == []
    assert clean_orphans(noted) == []
    assert [path.name for path in noted.run.iterdir()] == ["up.lock"]


def test_cleaning_a_live_run_is_refused(noted: Settings) -> None:
    lock = HomeLock(noted)
    lock.acquire()

    with pytest.raises(InUseError):
        clean_orphans(noted)

    lock.release()
    assert read_endpoints(noted)
