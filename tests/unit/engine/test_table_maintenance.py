"""Tables are looked after beside their stream, which waits only while files change places."""

from contextlib import contextmanager

import pytest

from k2.engine import table_maintenance as upkeep
from k2.engine.table_maintenance import maintain
from k2.exchanges.binance import BINANCE
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table
from k2.topology import all_streams, stream_named
from tests.support.trades import append_silver, silver_row

pytestmark = pytest.mark.unit

SILVER = silver_trades(BINANCE)


@pytest.fixture
def stream(settings):
    for offset in range(3):
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, offset)])
    streams = all_streams(settings, "127.0.0.1:1", "http://127.0.0.1:1", "local[2]")
    return stream_named(streams, "silver-binance")


class Turns:
    """Keeps count of who keeps batches out."""

    def __init__(self):
        self.held = 0

    @contextmanager
    def __call__(self):
        self.held += 1
        yield
        self.held -= 1


def offsets(settings):
    return sorted(open_table(settings.lake, SILVER).to_pyarrow_table()["offset"].to_pylist())


def test_batches_go_on_while_files_are_packed(settings, stream, monkeypatch):
    turn, held = Turns(), []
    pack = upkeep.write_compacted

    def watched(*given):
        held.append(turn.held)
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, 3)])  # the stream's next batch
        return pack(*given)

    monkeypatch.setattr(upkeep, "write_compacted", watched)

    done = maintain(stream, settings, turn, lambda: True, {})

    assert held == [0]
    assert done[SILVER.name]["after"]["files"] == 2
    assert offsets(settings) == [0, 1, 2, 3]


def test_files_that_the_stream_merged_meanwhile_are_packed_before_its_next_batch(
    settings, stream, monkeypatch
):
    turn = Turns()
    pack = upkeep.write_compacted

    def overtaken(*given):
        packed = pack(*given)
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, 3)])
        open_table(settings.lake, SILVER).optimize.compact()
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, 4)])
        return packed

    monkeypatch.setattr(upkeep, "write_compacted", overtaken)

    done = maintain(stream, settings, turn, lambda: True, {})

    assert done[SILVER.name]["after"]["files"] == 1
    assert offsets(settings) == [0, 1, 2, 3, 4]


def test_a_dry_run_changes_nothing(settings, stream):
    version = open_table(settings.lake, SILVER).version()

    found = maintain(stream, settings, Turns(), lambda: True, {}, dry_run=True)

    assert found[SILVER.name]["partitions_compacted"] == 1
    assert open_table(settings.lake, SILVER).version() == version


def test_who_is_about_to_end_leaves_the_rest(settings, stream):
    version = open_table(settings.lake, SILVER).version()

    assert maintain(stream, settings, Turns(), lambda: False, {}) is None

    assert open_table(settings.lake, SILVER).version() == version
