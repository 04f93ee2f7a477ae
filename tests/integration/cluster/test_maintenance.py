"""Jobs of a cluster look after their own tables, and leave what a job that is away has not read."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from k2.storage.delta import CHECKPOINT_INTERVAL
from k2.storage.delta_log import newest_version
from k2.storage.maintenance.log_cleanup import find_oldest
from tests.checker.manifest import check_manifest
from tests.support.home import K2Home
from tests.support.submitted_jobs import submit_to_end

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(2400)]

BRONZE = ("bronze", "--exchange", "binance")
SILVER = ("silver", "--exchange", "binance")
TWO_DAYS = timedelta(days=2).total_seconds()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[K2Home]:
    """Kafka and the registry, and what jobs on a cluster write with: Spark's own writer."""
    home = K2Home(tmp_path / "home", K2_TABLE_WRITER="spark", K2_KEPT_VERSIONS="1")
    home.run("up", "--no-streams", "--detach")
    yield home
    home.run("down")
    home.kill_all()


def test_what_a_job_that_is_away_has_not_read_stays_and_so_does_what_is_pinned(
    home: K2Home,
) -> None:
    jars = home.run_raw("jars").stdout.strip()
    simulate(home)
    submit_to_end(home, jars, "local[1]", BRONZE)
    submit_to_end(home, jars, "local[1]", SILVER)
    for _ in range(2):
        simulate(home)
        submit_to_end(home, jars, "local[1]", BRONZE)  # Silver's job is away
    pinned = DeltaTable(str(bronze(home)))
    unread = files(pinned)

    home.run("maintain")

    assert rows(pinned) == home.rows("bronze_binance_trades")

    hours_pass(home)
    submit_to_end(home, jars, "local[1]", BRONZE)  # looks after its table, as its time has come
    home.run("maintain")

    assert len(set(unread) & set(files_on_disk(home))) >= 2
    submit_to_end(home, jars, "local[1]", SILVER)
    home.run("drain")
    assert check_manifest(home.folder, [manifest(home)]) == []
    assert home.json("balance")["balanced"] is True


def test_a_log_that_has_grown_long_is_trimmed_to_a_checkpoint_and_streams_go_on(
    home: K2Home,
) -> None:
    jars = home.run_raw("jars").stdout.strip()
    home.environment["K2_MAX_RECORDS_PER_BATCH"] = "15"
    simulate(home)
    submit_to_end(home, jars, "local[1]", BRONZE)
    del home.environment["K2_MAX_RECORDS_PER_BATCH"]
    submit_to_end(home, jars, "local[1]", SILVER)
    assert oldest_version(home) == 0
    commits = newest_version(bronze(home))
    assert commits > CHECKPOINT_INTERVAL

    hours_pass(home)
    simulate(home)
    submit_to_end(home, jars, "local[1]", BRONZE)

    assert oldest_version(home) >= commits // CHECKPOINT_INTERVAL * CHECKPOINT_INTERVAL
    submit_to_end(home, jars, "local[1]", SILVER)
    home.run("drain")
    assert check_manifest(home.folder, [manifest(home)]) == []
    assert home.json("balance")["balanced"] is True


def bronze(home: K2Home) -> Path:
    return home.folder / "lake" / "bronze_binance_trades"


def oldest_version(home: K2Home) -> int:
    return find_oldest(bronze(home), newest_version(bronze(home)))


def simulate(home: K2Home) -> None:
    """Send trades of a day that is over, so that its partitions are closed."""
    start = int((time.time() - TWO_DAYS) * 1_000_000)
    count = ("--rate", "max", "--count", 1_000, "--kraken", 0, "--coinbase", 0)
    home.run("simulate", *count, "--span", "1h", "--start", start, "--manifest", manifest(home))


def manifest(home: K2Home) -> Path:
    return home.folder.with_name("manifest.jsonl")


def files(table: DeltaTable) -> list[str]:
    return [str(path) for path in table.get_add_actions(flatten=True)["path"].to_pylist()]


def rows(pinned: DeltaTable) -> int:
    """Read a version's own files to their end, as a reader does that has been at it for long."""
    folder = Path(str(pinned.table_uri).removeprefix("file://"))
    return ds.dataset([str(folder / path) for path in files(pinned)]).to_table().num_rows


def files_on_disk(home: K2Home) -> list[str]:
    folder = bronze(home)
    found = (path.relative_to(folder) for path in folder.rglob("*.parquet"))
    return [str(path) for path in found if path.parts[0] != "_delta_log"]


def hours_pass(home: K2Home) -> None:
    """Date every file, and the last upkeep of each stream, two hours back."""
    back = time.time() - 7_200
    noted = home.folder / "run" / "maintenance"
    noted.mkdir(exist_ok=True)
    for stream in ("bronze-binance", "silver-binance", "gold"):
        (noted / stream).touch()
    for folder in (home.folder / "lake", noted):
        for path in folder.rglob("*"):
            if path.is_file():
                os.utime(path, (back, back))
