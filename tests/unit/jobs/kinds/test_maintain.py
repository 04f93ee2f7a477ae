"""Tables looked after by a job, stream by stream; one that cannot be is said and stops no other."""

from typing import Any

import pytest

from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.jobs.kinds import KINDS
from k2.jobs.model import Job, JobState
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table, table_path
from k2.topology import stream_names
from tests.support.jobs import engine_of, run_to_end
from tests.support.trades import append_silver, silver_row

pytestmark = pytest.mark.unit

TABLE = silver_trades(BINANCE)


@pytest.fixture
def home(settings: Settings) -> Settings:
    """A home with a closed day of two files."""
    for offset in range(2):
        append_silver(settings.lake, BINANCE, [silver_row(BINANCE, offset)])
    return settings


def maintained(settings: Settings, **params: Any) -> Job:
    """Run a job to its end."""
    with engine_of(settings, KINDS) as engine:
        return run_to_end(engine, "maintain", params)


def files(settings: Settings) -> int:
    table = open_table(settings.lake, TABLE)
    assert table is not None
    return len(table.file_uris())


def test_a_closed_day_is_compacted_and_each_stream_is_a_step(home: Settings) -> None:
    job = maintained(home)

    assert job.result is not None
    assert not job.result["dry_run"]
    assert job.result["tables"][TABLE.name]["partitions_compacted"] == 1
    assert (job.state, job.steps_done) == (JobState.COMPLETED, len(stream_names()))
    assert files(home) == 1


def test_a_dry_run_says_what_would_be_done_and_does_nothing(home: Settings) -> None:
    job = maintained(home, dry_run=True)

    assert job.result is not None
    assert job.result["dry_run"]
    assert job.result["tables"][TABLE.name]["partitions_compacted"] == 1
    assert files(home) == 2


def test_a_table_that_cannot_be_read_is_named_and_the_others_are_looked_after(
    home: Settings,
) -> None:
    log = table_path(home.lake, silver_trades(KRAKEN)) / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no commit")

    job = maintained(home)

    assert job.error is not None
    assert job.error["exit_code"] == 4
    assert "maintain silver-kraken: " in job.error["message"]
    assert silver_trades(KRAKEN).name in job.error["message"]
    assert files(home) == 1
