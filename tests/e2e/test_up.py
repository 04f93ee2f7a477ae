"""``k2 up`` from start to summary, and how it ends when told to."""

import signal
from pathlib import Path

import psutil
import pytest

from k2.jvm.jars import Group
from tests.support.finished_home import rows
from tests.support.home import PATIENCE, K2Home, wait_until
from tests.support.jar_cache import archived, cache_without_archives

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]


def test_a_timed_run_shows_what_it_did_and_leaves_nothing_running(home: K2Home) -> None:
    said = home.run("up", "--for", "10s", "--rate", "300/s")

    assert "Starting" not in said  # piped, it prints its summary alone
    for part in ("Rows", "Balance", "Newest Gold trades", "k2.Lake(", str(home.folder)):
        assert part in said
    home.require_nothing_left()
    assert home.json("balance", "--tables-only")["balanced"] is True
    assert home.rows("gold_trades") > 1_000
    assert not (home.folder / "run" / "endpoints.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_a_run_ends_cleanly_and_the_next_one_goes_on(
    home: K2Home, number: signal.Signals
) -> None:
    run = home.start("up", "--rate", "300/s")
    wait_until(lambda: rows(home, "gold_trades") > 300, why=home.output.read_text)

    run.send_signal(number)

    assert run.wait(PATIENCE) == 0, home.output.read_text()
    home.require_nothing_left()
    assert "Traceback" not in home.output.read_text()
    finish(home)


def test_the_first_run_to_end_keeps_what_java_has_loaded_and_the_next_one_maps_it(
    home: K2Home, tmp_path: Path
) -> None:
    cache = cache_without_archives(tmp_path / "a cache", Group)
    home.environment |= {"K2_JAR_CACHE": str(cache), "K2_CLASS_ARCHIVES": "true"}

    first = home.run("up", "--for", "5s", "--rate", "300/s", "--no-quiet")
    home.require_nothing_left()
    second = home.start("up", "--rate", "300/s")

    assert "Keeping what Java has loaded" in first
    assert archived(cache) == {"kafka", "registry", "spark"}
    wait_until(lambda: any(maps(process, cache) for process in home.processes()))
    second.send_signal(signal.SIGINT)
    assert second.wait(PATIENCE) == 0, home.output.read_text()
    assert "Keeping" not in home.output.read_text()
    home.require_nothing_left()


def maps(process: psutil.Process, cache: Path) -> bool:
    """Whether it is Spark's JVM with the archive in its memory."""
    try:
        return any(
            area.path.startswith(f"{cache}/classes/spark-") for area in process.memory_maps()
        )
    except psutil.Error:
        return False


def test_a_stop_while_services_start_leaves_nothing(home: K2Home) -> None:
    run = home.start("up", "--feed", "none")
    wait_until(lambda: (home.folder / "run" / "kafka.json").exists(), why=home.output.read_text)

    run.send_signal(signal.SIGINT)

    assert run.wait(PATIENCE) in (0, 130), home.output.read_text()
    home.require_nothing_left()
    assert "Traceback" not in home.output.read_text()


def test_a_home_in_use_is_refused_by_name_and_its_run_goes_on(home: K2Home) -> None:
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    owner = home.record("owner")

    said = home.run("up", "--feed", "none", code=2)
    detached = home.run("up", "--feed", "none", "--detach", code=2)

    for refusal in (said, detached):
        assert f"K2_HOME={home.folder} is in use" in refusal
        assert str(owner.pid) in refusal
    services = home.json("status")["services"]
    assert {service["state"] for service in services.values()} == {"up"}
    home.run("down")
    home.require_nothing_left()


def finish(home: K2Home) -> None:
    """What was left on the way is brought to Gold by the next run, and everything balances."""
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    home.run("drain")
    assert home.json("balance")["balanced"] is True
    home.run("down")
