"""Whatever is killed, and whenever: nothing is left running, nothing is lost or doubled."""

import random
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from tests.support.finished_home import finish, rows
from tests.support.home import PATIENCE, K2Home, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1500)]

RATE = ("--rate", "400/s")


def test_everything_killed_at_any_moment_the_same_command_goes_on(home: K2Home) -> None:
    moments = random.Random(20)
    for _ in range(3):
        run = home.start("up", *RATE)
        wait_for_gold(home, rows(home, "gold_trades") + moments.randint(1, 2_000))

        home.kill_all()

        run.wait()
        home.require_nothing_left()

    finish(home)


@pytest.mark.parametrize("delay", [0.2, 1.0, 3.0, 8.0])
def test_a_run_killed_while_it_starts_is_no_hindrance(home: K2Home, delay: float) -> None:
    run = home.start("up", "--feed", "none")
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(delay)

    home.kill_all()

    run.wait()
    home.require_nothing_left()
    assert "Nothing runs" in home.run("down") or not home.processes()
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    home.run("down")
    home.require_nothing_left()


def test_the_parent_alone_killed_leaves_nothing_running(home: K2Home) -> None:
    run = home.start("up", *RATE)
    wait_for_gold(home, 500)

    run.kill()

    run.wait()
    home.require_nothing_left()
    finish(home)


def test_sparks_jvm_alone_killed_ends_the_run_with_a_sentence(home: K2Home) -> None:
    run = home.start("up", *RATE)
    wait_for_gold(home, 500)

    spark_of(home).send_signal(signal.SIGKILL)

    assert run.wait(60) == 1, home.output.read_text()
    said = home.output.read_text()
    assert "Spark's JVM" in said
    assert_no_traceback(said)
    home.require_nothing_left()
    finish(home)


@pytest.mark.parametrize("service", ["kafka", "registry"])
def test_a_killed_service_comes_back_and_the_streams_go_on(home: K2Home, service: str) -> None:
    run = home.start("up", *RATE)
    wait_for_gold(home, 500)
    killed = home.record(service)

    killed.send_signal(signal.SIGKILL)

    wait_until(lambda: home.record(service).pid != killed.pid, why=home.output.read_text)
    wait_for_gold(home, rows(home, "gold_trades") + 1_000)
    run.send_signal(signal.SIGINT)
    assert run.wait(PATIENCE) == 0, home.output.read_text()
    assert_no_traceback(home.output.read_text())
    home.require_nothing_left()
    finish(home)


def test_a_run_whose_kafka_hangs_can_be_ended(home: K2Home) -> None:
    run = home.start("up", *RATE)
    wait_for_gold(home, 500)
    home.record("kafka").send_signal(signal.SIGSTOP)

    time.sleep(1)  # and the streams wait for an answer
    run.send_signal(signal.SIGINT)

    # A quarter of a minute each for the streams, the feed and Kafka itself, and then some.
    assert run.wait(100) == 0, home.output.read_text()
    assert_no_traceback(home.output.read_text())
    home.require_nothing_left()
    finish(home)


def test_a_registry_that_does_not_answer_makes_no_dead_letters(home: K2Home) -> None:
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    home.run("simulate", "--rate", "max", "--count", 2_000, "--bad", "0")

    shutil.rmtree(home.folder / "registry-cache")  # else nobody would ask

    said = home.run("drain", "--timeout", "40s", code=3, K2_REGISTRY="http://127.0.0.1:1")

    assert "registry" in said
    assert rows(home, "dlq_binance_trades") == 0
    assert rows(home, "dlq_kraken_trades") == 0
    finish(home)
    assert rows(home, "dlq_binance_trades") == 0


def assert_no_traceback(said: str) -> None:
    # A library's account inside a JSON log record is for who looks for it.
    assert not [line for line in said.splitlines() if line.startswith("Traceback")], said


def wait_for_gold(home: K2Home, wanted: int) -> None:
    wait_until(lambda: rows(home, "gold_trades") >= wanted, why=home.output.read_text)


def spark_of(home: K2Home) -> psutil.Process:
    return next(p for p in home.processes() if f"-Dk2.home={home.folder}" in p.cmdline())
