"""A batch that runs again finds the version that it used."""

import pytest

from k2.silver.instrument_versions import InstrumentVersions

pytestmark = pytest.mark.unit


def test_a_batch_that_never_ran_used_none(tmp_path):
    assert InstrumentVersions(tmp_path / "versions").recall(0) is None


def test_a_batch_used_what_the_last_change_before_it_says(tmp_path):
    versions = InstrumentVersions(tmp_path / "versions")
    versions.remember(0, "a")
    versions.remember(7, "b")

    assert [versions.recall(batch) for batch in (0, 6, 7, 100)] == ["a", "a", "b", "b"]
    again = InstrumentVersions(tmp_path / "versions")
    assert [again.recall(batch) for batch in (0, 6, 7, 100)] == ["a", "a", "b", "b"]


def test_a_batch_that_had_written_nothing_may_use_another(tmp_path):
    versions = InstrumentVersions(tmp_path)
    versions.remember(3, "a")
    versions.remember(3, "b")

    assert InstrumentVersions(tmp_path).recall(3) == "b"


def test_old_changes_are_forgotten_and_new_ones_are_not(tmp_path):
    versions = InstrumentVersions(tmp_path)
    for batch in range(100):
        versions.remember(batch, str(batch))

    assert versions.recall(99) == InstrumentVersions(tmp_path).recall(99) == "99"
    assert len(list(tmp_path.iterdir())) == 20


def test_an_old_file_that_is_gone_is_as_good_as_forgotten(tmp_path):
    versions = InstrumentVersions(tmp_path)
    for batch in range(20):
        versions.remember(batch, str(batch))
    (tmp_path / "0.json").unlink()

    versions.remember(20, "20")

    assert versions.recall(20) == "20"
