"""Checkpoints, tables and sources of different histories are refused: rows would be passed over."""

import shutil

import pytest

from k2.engine.checkpoint_checks import refuse_lost_batches, refuse_other_sources
from k2.errors import StaleCheckpointError
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.silver.tables import silver_trades
from k2.storage.checkpoints.offset_log import OffsetLog, table_offset
from k2.storage.delta import ensure_table, table_path
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.trades import append_silver, arrow, silver_row

pytestmark = pytest.mark.unit

APP = "gold/v1"
SOURCE, OTHER = silver_trades(BINANCE), silver_trades(KRAKEN)


@pytest.fixture
def read(settings):
    """A source with forty commits, all of which a stream has read."""
    for offset in range(40):
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, offset)])
    stored = ensure_table(settings.lake, SOURCE)
    log = OffsetLog(settings.checkpoint(APP))
    log.plan(0, (table_offset(str(stored.metadata().id), stored.version() + 1),), 0, 0)
    log.commit(0, 0)
    return settings


def check(settings, *reads):
    refuse_other_sources(settings, APP, settings.checkpoint(APP), reads)


def folder(settings):
    return table_path(settings.lake, SOURCE)


def test_a_source_that_only_grew_is_the_same(read):
    append_silver(read.lake, BINANCE, [silver_row(BINANCE, 40)])

    check(read, SOURCE)
    check(read, SOURCE, OTHER)  # an exchange that came later
    refuse_other_sources(read, "new/v1", read.checkpoint("new/v1"), (SOURCE,))


@pytest.mark.parametrize("commits", [10, 50])
def test_a_source_that_was_made_anew_is_refused_also_when_it_has_grown_past(read, commits):
    shutil.rmtree(folder(read))
    for offset in range(commits):
        append_silver(read.lake, BINANCE, [silver_row(BINANCE, offset)])

    with pytest.raises(StaleCheckpointError, match=r"silver_binance_trades.*made anew.*start over"):
        check(read, SOURCE)


def test_a_source_that_was_put_back_from_an_older_copy_is_refused(read, tmp_path):
    kept = tmp_path / "backup"
    shutil.copytree(folder(read), kept)
    append_silver(read.lake, BINANCE, [silver_row(BINANCE, 40)])
    stored = ensure_table(read.lake, SOURCE)
    log = OffsetLog(read.checkpoint(APP))
    log.plan(1, (table_offset(str(stored.metadata().id), stored.version() + 1),), 0, 0)
    log.commit(1, 0)
    shutil.rmtree(folder(read))
    kept.rename(folder(read))

    with pytest.raises(StaleCheckpointError, match="older copy"):
        check(read, SOURCE)


@pytest.mark.parametrize("batches", [None, 3])
def test_a_table_that_lacks_committed_batches_is_refused(settings, batches):
    ensure_table(settings.lake, SOURCE)
    if batches is not None:
        rows = arrow(SOURCE, [silver_row(BINANCE, 0)])
        ArrowWriter(settings.lake).append(SOURCE, TxnId(APP, batches), rows)
    log = OffsetLog(settings.checkpoint(APP))
    log.plan(4, ("-",), 0, 0)
    log.commit(4, 0)

    with pytest.raises(StaleCheckpointError, match="batch 4 of gold/v1 is written"):
        refuse_lost_batches(settings, APP, settings.checkpoint(APP), SOURCE)


def test_a_table_that_has_its_batches_is_taken(settings):
    rows = arrow(SOURCE, [silver_row(BINANCE, 0)])
    ensure_table(settings.lake, SOURCE)
    ArrowWriter(settings.lake).append(SOURCE, TxnId(APP, 4), rows)
    log = OffsetLog(settings.checkpoint(APP))
    log.plan(4, ("-",), 0, 0)
    log.commit(4, 0)

    refuse_lost_batches(settings, APP, settings.checkpoint(APP), SOURCE)
