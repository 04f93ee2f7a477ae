"""What a stream does with a batch, and what it reports of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from k2.storage.writers.writer import NOTHING, AppendResult, Batch, TxnId


@dataclass(frozen=True)
class BatchResult:
    """What one batch did: the rows of the main table, and what became of the others.

    ``output`` are the rows that the batch adds to the main table, for a chained stream downstream; None
    when they are not known any more, since the table had the batch already.
    """

    stream: str  # the app id
    batch_id: int
    written: AppendResult = NOTHING
    dead_letters: dict[str, int] = field(default_factory=dict)  # by error type
    duplicates: int = 0
    observed: Mapping[str, float] = field(default_factory=dict)  # what else was counted of it
    # In the form of a query's progress, of a chained batch, which no query made.
    progress: Mapping[str, Any] | None = None
    output: Batch | None = field(default=None, compare=False, repr=False)

    @property
    def rows(self) -> int:
        """Rows that came in."""
        return self.written.rows + sum(self.dead_letters.values()) + self.duplicates


# Called once a batch is written, in the thread that wrote it.
ResultCallback = Callable[[BatchResult], None]


class BatchProcessor(Protocol):
    """Writes batches to a stream's tables. Bronze, Silver, Gold and the bars have one each."""

    def process(self, batch: Batch, txn: TxnId) -> BatchResult:
        """Write one batch. The same ``txn`` again changes nothing.

        Raising fails the batch, and it runs again with the same rows.
        """

    def close(self) -> None:
        """Close what is open between batches; the next batch opens it again."""
