"""What a replay decided, on disk before it is written: a crash between two tables changes no mind."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import feather

from k2.storage.writers.writer import TxnId

_APP = "dlq-replay-"


class ReplayJournal:
    """A folder with a file for every decided and not yet completely written step of a replay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, txn: TxnId, rows: pa.Table) -> None:
        """Keep a step, durably, before any of it is written."""
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
        """Remove a step that every table and the index have."""
        self._path(txn).unlink(missing_ok=True)

    def _path(self, txn: TxnId) -> Path:
        return self._folder / f"{txn.app_id}.{txn.version:06}.arrow"


def replay_app(replay_id: str) -> str:
    """Return the Delta application of a replay: each has its own, so that none hides another's."""
    return _APP + replay_id
