"""How many rows a stream has still to take, as its checkpoint and the table's log say."""

import orjson
import pytest

from k2.gold.table import GOLD_TRADES
from k2.storage.checkpoints.consumers import unread_rows
from k2.storage.checkpoints.offset_log import OffsetLog, table_offset
from k2.storage.delta import open_table
from tests.support.bars import gold_row
from tests.support.trades import append

pytestmark = pytest.mark.unit

SIZES = (1, 2, 3)  # of the appends that become the versions 1, 2 and 3


@pytest.fixture
def gold(tmp_path):
    offset = 0
    for size in SIZES:
        append(tmp_path / "lake", GOLD_TRADES, [gold_row(offset + n) for n in range(size)])
        offset += size
    return open_table(tmp_path / "lake", GOLD_TRADES)


@pytest.fixture
def log(tmp_path):
    return OffsetLog(tmp_path / "checkpoint")


def offset(gold, version, **changes):
    said = orjson.loads(table_offset(str(gold.metadata().id), version))
    return orjson.dumps(said | changes).decode()


def test_a_stream_that_never_ran_has_all_to_take(tmp_path, gold):
    assert unread_rows(tmp_path / "checkpoint", gold) == 6


@pytest.mark.parametrize(("version", "unread"), [(1, 6), (2, 5), (3, 3), (4, 0)])
def test_what_came_after_the_committed_batch_is_unread(tmp_path, gold, log, version, unread):
    log.plan(0, (offset(gold, version),), 0, 0)
    log.commit(0, 0)

    assert unread_rows(tmp_path / "checkpoint", gold) == unread


def test_a_batch_that_is_planned_and_not_written_is_unread(tmp_path, gold, log):
    log.plan(0, (offset(gold, 2),), 0, 0)
    log.commit(0, 0)
    log.plan(1, (offset(gold, 4),), 0, 0)

    assert unread_rows(tmp_path / "checkpoint", gold) == 5


def test_a_version_that_was_read_in_part_counts_its_other_files(tmp_path, gold, log):
    log.plan(0, (offset(gold, 2, index=0),), 0, 0)  # version 2 has one file
    log.commit(0, 0)

    assert unread_rows(tmp_path / "checkpoint", gold) == 3


def test_all_is_unread_until_what_was_there_first_is_read(tmp_path, gold, log):
    log.plan(0, (offset(gold, 3, index=0, isStartingVersion=True),), 0, 0)
    log.commit(0, 0)

    assert unread_rows(tmp_path / "checkpoint", gold) == 6


def test_what_only_moved_rows_adds_none(tmp_path, gold, log):
    log.plan(0, (offset(gold, 4),), 0, 0)
    log.commit(0, 0)

    gold.optimize.compact()

    assert open_table(tmp_path / "lake", GOLD_TRADES).version() == 4
    assert unread_rows(tmp_path / "checkpoint", open_table(tmp_path / "lake", GOLD_TRADES)) == 0


def test_versions_that_the_log_no_longer_has_make_all_unread(tmp_path, gold, log):
    log.plan(0, (offset(gold, 2),), 0, 0)
    log.commit(0, 0)
    gold.create_checkpoint()
    (tmp_path / "lake" / "gold_trades" / "_delta_log" / f"{2:020}.json").unlink()

    assert unread_rows(tmp_path / "checkpoint", gold) == 6
