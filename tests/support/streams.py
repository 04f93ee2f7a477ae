"""Streams that never run, for tests of what is around them."""

from typing import Any

from k2.engine.processor import BatchResult
from k2.engine.stream import Stream
from k2.exchanges import Exchange
from k2.storage.table import Layer, Table
from k2.storage.writers.writer import Batch, TxnId


class IdleProcessor:
    """Gets no batches; counts how often it was closed."""

    closed = 0

    def process(self, batch: Batch, txn: TxnId) -> BatchResult:
        """Fail: nobody should have come here."""
        raise AssertionError("this stream has no batches")

    def close(self) -> None:
        """Count."""
        self.closed += 1


def idle_stream(
    layer: Layer,
    exchange: Exchange | None,
    *tables: Table,
    name: str = "",
    processor: Any = None,
    writer: Any = None,
    **data: Any,
) -> Stream:
    """A stream that is called as in the topology, unless a ``name`` is given."""
    called = name or (f"{layer}-{exchange.name}" if exchange else str(layer))
    processor = processor or IdleProcessor()
    return Stream(called, layer, exchange, 1, tables, _never, processor, writer, **data)


def _never(_: Any) -> Any:
    raise AssertionError("this stream does not run")


class Mutex:
    """Nobody else is there."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
