"""Read the stored records from which a dedup index is rebuilt: the tables are the truth, not the index."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from k2.exchanges import Exchange
from k2.silver.dedup.index import NEEDED
from k2.silver.rules.apply_rules import FILLER
from k2.silver.tables import dead_letters, silver_trades
from k2.storage.delta import open_table
from k2.storage.scan import scan

_RECORD = ["partition", "offset"]


def stored_records(
    lake: Path, exchange: Exchange, but: pa.Table | None = None
) -> Iterator[tuple[pa.Table, pa.ChunkedArray | None]]:
    """Yield Silver's trades and the dead letters that are fillers, in the form that the index needs.

    ``but`` names records to leave out by ``partition`` and ``offset``.
    """
    silver = open_table(lake, silver_trades(exchange))
    if silver is not None:
        for part in scan(silver, NEEDED).batches():
            yield _without(pa.Table.from_batches([part]), but), None
    letters = open_table(lake, dead_letters(exchange))
    if letters is not None:
        wanted = [*_RECORD, "message_id", "kafka_timestamp"]
        fillers = scan(letters, wanted, [("error_type", "=", FILLER)]).table()
        if fillers.num_rows:
            records = _identified(_without(fillers, but))
            yield records, pa.chunked_array([pa.repeat(True, records.num_rows)])


def _without(records: pa.Table, but: pa.Table | None) -> pa.Table:
    if but is None:
        return records
    return records.join(but.select(_RECORD), _RECORD, join_type="left anti")


def _identified(fillers: pa.Table) -> pa.Table:
    """Fillers with the columns of ``NEEDED``: of a dead letter the id stands in its message id alone."""
    digits = pc.utf8_slice_codeunits(fillers["message_id"], -16).to_pylist()
    unsigned = [int(text, 16) for text in digits]
    ids = pa.array([n - 2**64 if n >= 2**63 else n for n in unsigned], pa.int64())
    return pa.table(
        {name: fillers[name] for name in ("message_id", *_RECORD)}
        | {"first_trade_id": ids, "last_trade_id": ids, "timestamp": fillers["kafka_timestamp"]}
    ).select(list(NEEDED))
