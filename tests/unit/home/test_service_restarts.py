"""What a run notes of services that it had to start again."""

import pytest

from k2.home.service_restarts import forget_restarts, note_restart, read_restarts
from k2.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def run_folder(settings: Settings) -> None:
    settings.run.mkdir(parents=True)


def test_each_restart_of_a_service_counts(settings: Settings) -> None:
    note_restart(settings, "kafka", -9)
    note_restart(settings, "registry", 1)
    note_restart(settings, "kafka", -15)

    restarts = read_restarts(settings)

    assert {name: of.count for name, of in restarts.items()} == {"kafka": 2, "registry": 1}
    assert restarts["kafka"].exit_code == -15


def test_the_sentence_says_how_often_and_what_ended_it(settings: Settings) -> None:
    killed = note_restart(settings, "kafka", -9).sentence
    crashed = note_restart(settings, "registry", 1).sentence

    assert "again once" in killed
    assert "after signal 9" in killed
    assert "after exit code 1" in crashed


def test_another_run_begins_at_none(settings: Settings) -> None:
    note_restart(settings, "kafka", -9)

    forget_restarts(settings)

    assert read_restarts(settings) == {}


@pytest.mark.parametrize("note", ["", "[]", '{"kafka": 3}', '{"kafka": {"times": 1}}'])
def test_a_note_that_is_none_counts_nothing(settings: Settings, note: str) -> None:
    (settings.run / "restarts.json").write_text(note)

    assert read_restarts(settings) == {}
