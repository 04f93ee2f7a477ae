"""Commits of others beside a stream's: an append is tried again, and each batch is there once."""

import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from k2.bronze.table import bronze_trades
from k2.errors import UnavailableError
from k2.exchanges.kraken import KRAKEN
from k2.storage.delta import ensure_table, table_path
from k2.storage.writers import arrow as arrow_writer
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import NOTHING, TxnId
from tests.support.trades import arrow, bronze_row

pytestmark = pytest.mark.unit

BRONZE = bronze_trades(KRAKEN)
APP = "bronze-kraken/v1"


def rows(offset):
    return arrow(BRONZE, [bronze_row(KRAKEN, b"x", offset)])


def optimize(table):
    table.optimize.compact()


def alter(table):
    table.alter.set_table_properties({"delta.appendOnly": "false"})


def append(table):
    write_deltalake(table, rows(100), mode="append")


def write_the_same_batch(table):
    done = CommitProperties(app_transactions=[Transaction(APP, 2)])
    write_deltalake(table, rows(2), mode="append", commit_properties=done)


@pytest.fixture
def writer(tmp_path):
    """A writer of a table that has two batches in two files."""
    ensure_table(tmp_path, BRONZE)
    writer = ArrowWriter(tmp_path)
    for batch in range(2):
        writer.append(BRONZE, TxnId(APP, batch), rows(batch))
    return writer


def offsets(writer):
    return sorted(
        DeltaTable(table_path(writer.lake, BRONZE)).to_pyarrow_table()["offset"].to_pylist()
    )


@pytest.mark.parametrize("outside", [optimize, alter, append])
def test_what_others_commit_between_appends_is_no_hindrance(writer, outside):
    outside(DeltaTable(table_path(writer.lake, BRONZE)))

    writer.append(BRONZE, TxnId(APP, 2), rows(2))

    assert [offset for offset in offsets(writer) if offset < 100] == [0, 1, 2]


@pytest.mark.parametrize("outside", [optimize, alter, append])
def test_an_append_that_meets_another_commit_is_tried_again(writer, monkeypatch, outside):
    meet(writer, monkeypatch, outside, times=1)

    appended = writer.append(BRONZE, TxnId(APP, 2), rows(2))

    assert appended.rows == 1
    assert [offset for offset in offsets(writer) if offset < 100] == [0, 1, 2]
    assert DeltaTable(table_path(writer.lake, BRONZE)).transaction_version(APP) == 2


def test_a_batch_that_the_other_commit_brought_is_not_written_again(writer, monkeypatch):
    meet(writer, monkeypatch, write_the_same_batch, times=1)

    assert writer.append(BRONZE, TxnId(APP, 2), rows(2)) == NOTHING
    assert offsets(writer) == [0, 1, 2]


def test_a_table_that_others_never_leave_alone_is_worth_another_try_of_the_batch(
    writer, monkeypatch
):
    meet(writer, monkeypatch, append, times=99)

    with pytest.raises(UnavailableError, match=r"bronze_kraken_trades.*somebody else") as failed:
        writer.append(BRONZE, TxnId(APP, 2), rows(2))

    assert failed.value.retryable
    monkeypatch.undo()
    writer.append(BRONZE, TxnId(APP, 2), rows(2))
    assert [offset for offset in offsets(writer) if offset < 100] == [0, 1, 2]


def meet(writer, monkeypatch, outside, times):
    """Have others commit right before each of the writer's own next commits."""
    left = [times]

    def write(stored, data, **options):
        if left[0]:
            left[0] -= 1
            outside(DeltaTable(table_path(writer.lake, BRONZE)))
        write_deltalake(stored, data, **options)

    monkeypatch.setattr(arrow_writer, "write_deltalake", write)
