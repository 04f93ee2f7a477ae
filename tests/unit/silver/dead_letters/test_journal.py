"""What a replay decided outlives a crash."""

import pyarrow as pa
import pytest

from k2.silver.dead_letters.journal import ReplayJournal, replay_app
from k2.storage.writers.writer import TxnId

pytestmark = pytest.mark.unit

STEP = TxnId(replay_app("a"), 0)
ROWS = pa.table({"offset": [1, 2], "outcome": ["trade", "duplicate"]})


def test_nothing_is_unfinished_before_anything_is_kept(tmp_path):
    assert list(ReplayJournal(tmp_path / "none").unfinished()) == []


def test_a_kept_step_is_found_by_another_process(tmp_path):
    ReplayJournal(tmp_path).keep(STEP, ROWS)

    found = list(ReplayJournal(tmp_path).unfinished())

    assert found == [(STEP, ROWS)]


def test_a_forgotten_step_is_gone(tmp_path):
    journal = ReplayJournal(tmp_path)
    journal.keep(STEP, ROWS)

    journal.delete_entry(STEP)
    journal.delete_entry(STEP)

    assert list(journal.unfinished()) == []


def test_steps_come_in_their_order(tmp_path):
    journal = ReplayJournal(tmp_path)
    for batch in (10, 9, 100):
        journal.keep(STEP._replace(version=batch), ROWS)

    assert [txn.version for txn, _ in journal.unfinished()] == [9, 10, 100]


def test_a_step_that_was_not_kept_to_its_end_is_none(tmp_path):
    (tmp_path / ".17.tmp").write_bytes(b"half a file")

    assert list(ReplayJournal(tmp_path).unfinished()) == []
