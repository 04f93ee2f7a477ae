"""Backlogs are measured beside the streams, by what is upstream and what was taken."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from k2.bronze.table import bronze_trades
from k2.engine.backlog_monitor import BacklogMonitor
from k2.engine.stream import Stream
from k2.engine.stream_task import StreamTask
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES
from k2.observability.engine_metrics import EngineMetrics
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from tests.support.streams import idle_stream

pytestmark = pytest.mark.unit

EXCHANGE = EXCHANGES[0]
BRONZE, SILVER = bronze_trades(EXCHANGE), silver_trades(EXCHANGE)


def bronze(unread: Callable[[], int]) -> Stream:
    return idle_stream(Layer.BRONZE, EXCHANGE, BRONZE, unread=unread)


def silver() -> Stream:
    return idle_stream(Layer.SILVER, EXCHANGE, SILVER, reads=(BRONZE,))


class Measured:
    """Streams that do not run, and what was measured of them."""

    def __init__(self, home: Path, *streams: Stream) -> None:
        settings = Settings.load(home=home, metrics_port=0)
        self.metrics = EngineMetrics(settings, streams)
        self.metrics.ports.update({stream.name: 0 for stream in streams})
        self.tasks = {s.name: StreamTask.of(s, settings, self.metrics) for s in streams}
        self.measuring = BacklogMonitor(self.metrics, list(self.tasks.values()), settings)

    def backlog(self, stream: str) -> float | None:
        labels = {"stream": stream, "exchange": EXCHANGE.name, "layer": stream.split("-")[0]}
        return self.metrics[stream].registry.get_sample_value("k2_backlog_records", labels)


def test_bronze_has_what_it_has_not_read_of_kafka_before_it(tmp_path: Path) -> None:
    measured = Measured(tmp_path, bronze(lambda: 3))
    measured.tasks["bronze-binance"].rows_in = 7

    measured.measuring.backlogs()

    assert measured.backlog("bronze-binance") == 3


def test_silver_has_what_bronze_gave(tmp_path: Path) -> None:
    measured = Measured(tmp_path, bronze(lambda: 10), silver())
    measured.tasks["bronze-binance"].rows_out = 7
    measured.tasks["silver-binance"].rows_in = 5

    measured.measuring.backlogs()

    assert measured.backlog("silver-binance") == 2


def test_a_job_of_its_own_looks_at_the_table_upstream(tmp_path: Path) -> None:
    measured = Measured(tmp_path, silver())
    write_deltalake(tmp_path / "lake" / BRONZE.name, pa.table({"offset": [0, 1, 2, 3]}))
    measured.tasks["silver-binance"].rows_in = 1

    measured.measuring.backlogs()

    assert measured.backlog("silver-binance") == 3


def test_a_kafka_that_does_not_answer_keeps_the_backlog_that_was(tmp_path: Path) -> None:
    answers = [10]

    def unread() -> int:
        if answers:
            return answers.pop()
        raise UnavailableError("no answer")

    measured = Measured(tmp_path, bronze(unread), silver())
    measured.measuring.backlogs()
    measured.tasks["bronze-binance"].rows_out = 4

    measured.measuring.backlogs()

    assert measured.backlog("bronze-binance") == 10
    assert measured.backlog("silver-binance") == 4
