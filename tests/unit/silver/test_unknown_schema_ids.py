"""A batch that met unknown ids meets them again when it runs again."""

import pytest

from k2.silver.unknown_schema_ids import UnknownSchemaIds

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "unknown"


def test_a_batch_that_never_ran_recalls_nothing(folder):
    assert UnknownSchemaIds(folder).recall(0) == set()
    assert not folder.exists()


def test_ids_are_recalled_by_another_process_for_their_batch_only(folder):
    UnknownSchemaIds(folder).remember(3, {7, 2**31 - 1})

    again = UnknownSchemaIds(folder)

    assert again.recall(3) == {7, 2**31 - 1}
    assert again.recall(2) == again.recall(4) == set()


def test_further_ids_of_a_batch_are_added(folder):
    ids = UnknownSchemaIds(folder)
    ids.remember(3, {7})

    ids.remember(3, {8})

    assert ids.recall(3) == {7, 8}


def test_a_batch_without_unknown_ids_leaves_no_file(folder):
    UnknownSchemaIds(folder).remember(3, set())

    assert not folder.exists()


def test_only_recent_batches_are_kept_counted_as_numbers(folder):
    ids = UnknownSchemaIds(folder)

    for batch in range(90, 130):
        ids.remember(batch, {batch})

    assert sorted(int(path.stem) for path in folder.iterdir()) == list(range(110, 130))
    assert ids.recall(129) == {129}


def test_a_write_that_was_cut_short_is_not_recalled(folder):
    ids = UnknownSchemaIds(folder)
    ids.remember(1, {5})
    (folder / "2.tmp").write_text("[7")

    assert ids.recall(2) == set()
    ids.remember(2, {8})
    assert ids.recall(2) == {8}
