"""Whoever holds a stream's tables does what is asked of them, and nobody else writes beside it."""

import threading
from dataclasses import replace

import pytest

from k2.engine import table_owner as holder
from k2.engine.stream import reserved
from k2.engine.table_owner import execute_on_owner
from k2.engine.table_requests import MAINTAIN, Request, answer, pending
from k2.exchanges.binance import BINANCE
from k2.home.locks import is_held
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table
from k2.topology import all_streams, stream_named
from tests.support.home import wait_until
from tests.support.trades import append_silver, silver_row

pytestmark = pytest.mark.unit

NAME = "silver-binance"
REQUEST = Request(MAINTAIN, NAME, {"readers": {}})
TABLES = {"silver_binance_trades", "dup_binance_trades", "dlq_binance_trades"}


@pytest.fixture
def stream(settings):
    for offset in range(2):
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, offset)])
    streams = all_streams(settings, "127.0.0.1:1", "http://127.0.0.1:1", "local[2]")
    return stream_named(streams, NAME)


def files(settings):
    return open_table(settings.lake, silver_trades(BINANCE)).file_uris()


def test_without_a_holder_the_asker_writes_and_holds_all_tables_meanwhile(
    settings, stream, monkeypatch
):
    held = []

    maintain, locks = holder.maintain, settings.run / "locks"

    def watched(*arguments, **options):
        held.append({path.stem for path in locks.glob("*.lock") if is_held(locks, path.stem)})
        return maintain(*arguments, **options)

    monkeypatch.setattr(holder, "maintain", watched)

    done = execute_on_owner(REQUEST, stream, settings)

    assert done["silver_binance_trades"]["partitions_compacted"] == 1
    assert len(files(settings)) == 1
    assert len(held) == 1
    assert held[0] >= TABLES | {"silver-binance-v1"}


def test_beside_a_holder_the_asker_writes_nothing_and_waits_for_its_answer(settings, stream):
    before, results = files(settings), []
    asker = threading.Thread(
        target=lambda: results.append(execute_on_owner(replace(REQUEST, id="x"), stream, settings))
    )

    with reserved(stream, settings):
        asker.start()
        (asked,) = wait_until(lambda: pending(settings, {NAME}), 30)
        answer(settings, asked, {"done by": "the holder"})
        asker.join(30)

    assert results == [{"done by": "the holder"}]
    assert files(settings) == before
