"""Silver made again by a job: what today's code would make otherwise is said, and nothing is changed."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from k2.bronze.table import bronze_trades
from k2.engine.stream import reserved
from k2.engine.table_requests import VERSIONS
from k2.errors import ConfigError
from k2.exchanges.kraken import KRAKEN
from k2.home.locks import exclusive
from k2.jobs.kinds import KINDS
from k2.jobs.model import Job, JobState, Report
from k2.jobs.table_requests import TableRequests
from k2.offline import local_streams
from k2.settings import Settings
from k2.silver import rebuild
from k2.silver.rebuild import scratch_settings
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.delta import open_table
from k2.topology import stream_named
from tests.support.home import wait_until
from tests.support.jobs import engine_of, run_to_end, wait_for, wait_for_state
from tests.support.mixed_records import MIXED, trade
from tests.support.silver_lake import SilverLake

pytestmark = pytest.mark.unit

TABLES = (silver_trades(KRAKEN), duplicates(KRAKEN), dead_letters(KRAKEN))


@pytest.fixture
def lake(settings: Settings) -> SilverLake:
    """Records of every kind, in two batches."""
    lake = SilverLake(settings)
    lake.take(*MIXED)
    lake.take(trade(10), trade(2), trade(11))
    return lake


def rebuilt(settings: Settings, exchange: str = "kraken") -> tuple[Job, Report]:
    """Run a job to its end."""
    with engine_of(settings, KINDS) as engine:
        done = run_to_end(engine, "rebuild-silver", {"exchange": exchange})
        return done, Report.of(engine.registry.steps(done.id))


def versions(settings: Settings) -> dict[str, int]:
    stored = {table.name: open_table(settings.lake, table) for table in TABLES}
    return {name: table.version() for name, table in stored.items() if table is not None}


def test_silver_that_is_as_it_should_be_is_equal_and_stays_untouched(lake: SilverLake) -> None:
    before = versions(lake.settings)

    job, report = rebuilt(lake.settings)

    assert job.result is not None
    assert (job.result["equal"], job.result["pending"]) == (True, 0)
    rows = {table["table"]: (table["live"], table["rebuilt"]) for table in job.result["tables"]}
    assert rows == {
        "silver_kraken_trades": (5, 5),
        "dup_kraken_trades": (2, 2),
        "dlq_kraken_trades": (3, 3),
    }
    assert (job.rows_done, job.rows_total, report.totals["ok"]) == (10, 10, 5)
    assert versions(lake.settings) == before
    assert not scratch_settings(lake.settings, KRAKEN).home.exists()


def test_a_table_that_somebody_touched_is_named_with_the_records(lake: SilverLake) -> None:
    silver = open_table(lake.settings.lake, TABLES[0])
    assert silver is not None
    silver.delete('"offset" = 1')

    job, report = rebuilt(lake.settings)

    assert job.state is JobState.COMPLETED
    assert job.result is not None
    assert not job.result["equal"]
    (wrong,) = [table for table in job.result["tables"] if table["added"] or table["removed"]]
    assert (wrong["table"], wrong["added"], wrong["removed"]) == ("silver_kraken_trades", 1, 0)
    assert wrong["samples"]["added"] == [f"{KRAKEN.topic}-0@1"]
    assert [step.message for step in report.warned] == ["silver_kraken_trades differs"]


def test_records_that_silver_has_not_decided_yet_are_counted_and_are_no_difference(
    lake: SilverLake,
) -> None:
    lake.receive(trade(20), trade(21))

    job, _ = rebuilt(lake.settings)

    assert job.result is not None
    assert (job.result["equal"], job.result["pending"]) == (True, 2)


def test_beside_a_stream_that_owns_the_tables_its_answer_says_of_which_versions(
    lake: SilverLake,
) -> None:
    settings = lake.settings
    then = versions(settings)
    lake.take(trade(30), trade(1), trade(31))
    stream = stream_named(local_streams(settings), "silver-kraken")

    with reserved(stream, settings), engine_of(settings, KINDS) as engine:
        job = engine.registry.submit("rebuild-silver", {"exchange": "kraken"}).job
        requests = TableRequests(engine.database)
        (request,) = wait_until(lambda: requests.pending({stream.name}), 30)
        requests.answer(request, then)
        done = wait_for(engine.registry, job.id, lambda found: found.state.is_ended)

    assert request.kind == VERSIONS
    assert done.result is not None
    assert (done.result["equal"], done.result["pending"]) == (True, 3)
    assert [table["live"] for table in done.result["tables"]] == [5, 2, 3]


def test_a_field_that_is_another_one_today_is_named(lake: SilverLake) -> None:
    letters = open_table(lake.settings.lake, TABLES[2])
    assert letters is not None
    letters.update(updates={"error_type": "'gone'"}, predicate='"offset" = 4')

    job, report = rebuilt(lake.settings)

    assert job.result is not None
    assert job.result["tables"][2]["changed"] == {"error_type": 1}
    assert [step.name for step in report.warned] == ["compare dlq_kraken_trades"]


def test_an_exchange_without_bronze_is_said(settings: Settings) -> None:
    job, _ = rebuilt(settings)

    assert job.error is not None
    assert (job.error["class"], job.error["exit_code"]) == ("ConfigError", 2)
    name = bronze_trades(KRAKEN).name
    assert job.error["message"] == f"There is no table {name} in {settings.lake} yet."


def test_an_exchange_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="krakn"):
        KINDS.named("rebuild-silver").validated({"exchange": "krakn"})


def test_two_rebuilds_of_one_exchange_do_not_write_into_one_folder(lake: SilverLake) -> None:
    locks = lake.settings.run / "locks"
    with exclusive(locks, ["rebuild-silver-kraken"], "a rebuild of Silver"):
        job, _ = rebuilt(lake.settings)

    assert job.error is not None
    assert "rebuild-silver-kraken is in use by a rebuild of Silver" in job.error["message"]


def test_a_paused_rebuild_begins_its_tables_anew_and_comes_to_the_same_end(
    lake: SilverLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "STEP", 3)
    is_half_done, goes_on = threading.Event(), threading.Event()
    process: Callable[..., Any] = rebuild.SilverProcessor.process

    def slow(*arguments: Any) -> Any:
        found = process(*arguments)
        is_half_done.set()
        goes_on.wait(30)
        return found

    monkeypatch.setattr(rebuild.SilverProcessor, "process", slow)
    with engine_of(lake.settings, KINDS) as engine:
        job = engine.registry.submit("rebuild-silver", {"exchange": "kraken"}).job
        assert is_half_done.wait(30)
        engine.registry.pause(job.id)
        goes_on.set()
        paused = wait_for_state(engine.registry, job.id, JobState.PAUSED)
        scratch = scratch_settings(lake.settings, KRAKEN)
        half = open_table(scratch.lake, TABLES[0])
        assert half is not None
        rows_then = half.to_pyarrow_table().num_rows
        engine.registry.resume(job.id)
        done = wait_for(engine.registry, job.id, lambda found: found.state.is_ended)

    assert (paused.steps_done, done.steps_done) == (1, 5)
    assert rows_then < 5
    assert done.result is not None
    assert done.result["equal"]
    assert [table["rebuilt"] for table in done.result["tables"]] == [5, 2, 3]
