"""Journal of a dead letter replay: decisions go to disk before they are written to tables, so that a crash between
two tables cannot change them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import feather

from k2.storage.writers.writer import TxnId

_APP = "dlq-replay-"


class ReplayJournal:
    """A folder with a file for each step of a replay that is decided and not yet completely written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, txn: TxnId, rows: pa.Table) -> None:
        """Store a step durably, before any of it is written to a table."""
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = self._folder / f".{os.getpid()}.tmp"
        with scratch.open("wb") as file:
            feather.write_feather(rows, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path(txn))

    def unfinished(self) -> Iterator[tuple[TxnId, pa.Table]]:
        """Return the steps that are not known to be written completely, in their order."""
        for path in sorted(self._folder.glob(f"{_APP}*.arrow")):
            app, _, batch = path.stem.rpartition(".")
            yield TxnId(app, int(batch)), feather.read_table(path)

    def delete_entry(self, txn: TxnId) -> None:
        """Delete a step that every table and the index have."""
        self._path(txn).unlink(missing_ok=True)

    def _path(self, txn: TxnId) -> Path:
        return self._folder / f"{txn.app_id}.{txn.version:06}.arrow"


def replay_app(replay_id: str) -> str:
    """Return the app id of a replay's Delta transactions: each replay has its own, so that none hides another's."""
    return _APP + replay_id
