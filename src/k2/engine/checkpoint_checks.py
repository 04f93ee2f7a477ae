"""Check that a stream's checkpoint, its tables and its upstream tables belong together.

One of them may have been deleted and recreated, or restored from an older copy. Going on would skip rows
without a word.
"""

from pathlib import Path

from k2.errors import StaleCheckpointError
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog, is_of_table, newest
from k2.storage.delta import ensure_table
from k2.storage.table import Table

_START_OVER = (
    "To start over, move away the tables and checkpoints of this stream and of all streams that read"
    " from it, or set K2_HOME to an empty folder."
)


def refuse_other_history(
    settings: Settings,
    app: str,
    checkpoint: Path,
    tables: tuple[Table, ...],
    reads: tuple[Table, ...],
    every_batch_in: Table | None,
) -> None:
    """Run all checks; ``every_batch_in`` is a table that every batch writes, if there is one.

    Raises:
        StaleCheckpointError: they do not belong together; the message says what to restore or to move away.
    """
    refuse_lost_checkpoint(settings, app, checkpoint, tables)
    refuse_other_sources(settings, app, checkpoint, reads)
    if every_batch_in is not None:
        refuse_lost_batches(settings, app, checkpoint, every_batch_in)


def refuse_lost_checkpoint(
    settings: Settings, app: str, checkpoint: Path, tables: tuple[Table, ...]
) -> None:
    """Check that the checkpoint knows every batch that the tables have.

    Raises:
        StaleCheckpointError: a table has batches that the checkpoint does not know.
    """
    newest_planned = newest(checkpoint / "offsets")
    planned = -1 if newest_planned is None else newest_planned
    for table in tables:
        written = ensure_table(settings.lake, table).transaction_version(app)
        if written is not None and written > planned:
            raise StaleCheckpointError(
                f"Table {table.name} has batch {written} of {app}, but the checkpoint "
                f"{checkpoint} only knows batches up to {planned}. Delta would "
                f"silently drop what it takes for old batches. Restore the checkpoint. {_START_OVER}"
            )


def refuse_lost_batches(settings: Settings, app: str, checkpoint: Path, table: Table) -> None:
    """Check that a table, which every batch of the stream writes, has all that were committed.

    Raises:
        StaleCheckpointError: it lacks some.
    """
    committed = newest(checkpoint / "commits")
    if committed is None:
        return
    written = ensure_table(settings.lake, table).transaction_version(app)
    if written is None and committed == 0:
        return  # an upgrade's checkpoint: it begins with the batch that its tables were built as
    if written is None or written < committed:
        has = "none" if written is None else f"those up to {written}"
        raise StaleCheckpointError(
            f"The checkpoint {checkpoint} says that batch {committed} of {app} is written, but of its"
            f" batches table {table.name} has {has}: it was made anew, or put back from an older copy."
            f" Restore it. {_START_OVER}"
        )


def refuse_other_sources(
    settings: Settings, app: str, checkpoint: Path, reads: tuple[Table, ...]
) -> None:
    """Check that the tables that the stream reads are those that it has read.

    Raises:
        StaleCheckpointError: one was recreated, or is at an older version.
    """
    starts = OffsetLog(checkpoint).position(len(reads)).starts
    for table, start in zip(reads, starts, strict=False):  # a new exchange comes last
        stored = ensure_table(settings.lake, table)
        if not is_of_table(start, str(stored.metadata().id), stored.version()):
            raise StaleCheckpointError(
                f"{app} has read table {table.name} as far as {start}, but the table now has id"
                f" {stored.metadata().id} and version {stored.version()}: it was made anew, or put"
                f" back from an older copy. Restore it. {_START_OVER}"
            )
