"""Wrong machines and wrong input: one clear sentence, the right exit code, nothing left behind."""

import gzip
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.home import GONE_SECONDS, PATIENCE, K2Home, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[K2Home]:
    """Kafka and the registry without streams, for all replays of this module."""
    home = K2Home(tmp_path_factory.mktemp("running") / "home")
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    yield home
    home.run("down")
    home.kill_all()


def refused(said: str, *parts: str) -> None:
    assert "Traceback" not in said
    for part in parts:
        assert part in said
    assert len([line for line in said.splitlines() if line.startswith("k2: ")]) == 1, said


@pytest.mark.parametrize("variable", ["K2_KAFKA_PORT", "K2_REGISTRY_PORT"])
@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_taken_port_is_named_with_its_setting_and_its_holder(
    home: K2Home, taken: int, variable: str, detach: tuple[str, ...]
) -> None:
    said = home.run("up", "--feed", "none", *detach, code=2, **{variable: str(taken)})

    refused(said, f"Port {taken}", variable, f"process {os.getpid()}")
    assert home.processes() == []


@pytest.mark.parametrize("detach", [(), ("--detach",)])
@pytest.mark.parametrize("below", ["", "home"])
def test_a_home_that_cannot_be_written_is_named(
    tmp_path: Path, detach: tuple[str, ...], below: str
) -> None:
    (tmp_path / "file").touch()
    home = K2Home(tmp_path / "file" / below)

    said = home_run(home, tmp_path, "up", "--feed", "none", *detach)

    refused(said, f"K2_HOME={home.folder} cannot be used", "Set K2_HOME")


def home_run(home: K2Home, folder: Path, *arguments: str) -> str:
    """From a folder that exists, which a broken home's parent is not."""
    elsewhere = K2Home(folder / "elsewhere")
    return elsewhere.run(*arguments, code=2, K2_HOME=str(home.folder))


@pytest.mark.parametrize("command", ["drain", "simulate --count 1"])
def test_every_command_that_writes_names_a_home_that_cannot_be_written(
    running: K2Home, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    endpoints = running.json("status")["services"]
    elsewhere = {
        "K2_HOME": str(tmp_path / "file" / "home"),
        "K2_KAFKA": endpoints["kafka"]["address"],
        "K2_REGISTRY": endpoints["registry"]["address"],
    }

    said = running.run(*command.split(), code=2, **elsewhere)

    refused(said, "K2_HOME=", "Set K2_HOME")


@pytest.mark.parametrize("command", ["up --feed none", "up --feed none --detach"])
def test_without_java_one_sentence_says_how_to_get_it(
    home: K2Home, tmp_path: Path, command: str
) -> None:
    (tmp_path / "bin").mkdir()

    said = home.run(*command.split(), code=2, PATH=str(tmp_path / "bin"), JAVA_HOME="")

    refused(said, "Java 17", "apt install")


def test_java_11_is_named_as_too_old(home: K2Home, tmp_path: Path) -> None:
    java = tmp_path / "jdk-11" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho '    java.home = /jdk-11\n    java.version = 11.0.22' >&2\n")
    java.chmod(0o755)

    said = home.run("up", "--feed", "none", code=2, K2_JAVA_HOME=str(java.parents[1]))

    refused(said, "is Java 11.0.22", "Java 17")
    assert home.processes() == []


def test_offline_without_jars_what_is_missing_is_said(home: K2Home, tmp_path: Path) -> None:
    offline = {"K2_OFFLINE": "1", "K2_JAR_CACHE": str(tmp_path / "cache")}

    up = home.run("up", "--feed", "none", code=3, **offline)
    jars = home.run("jars", code=3, **offline)

    refused(up, "K2_OFFLINE", "k2 jars")
    refused(jars, "K2_OFFLINE", "k2 jars")
    assert home.processes() == []


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "cut.ndjson.gz",
            gzip.compress(b'{"e":"trade"}\n' * 10_000, mtime=0)[:60],
            "cut.ndjson.gz",
        ),
        ("text.ndjson.gz", b"not gzip at all", "text.ndjson.gz"),
        ("text.ndjson.zst", b"not zstandard at all", "text.ndjson.zst"),
        ("empty.ndjson.gz", b"", "empty.ndjson.gz"),
        ("empty.ndjson", b"", "empty.ndjson"),
    ],
)
def test_a_recording_that_cannot_be_read_is_named(
    running: K2Home, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)

    done = running.run_raw("replay", tmp_path / name, "--exchange", "binance")

    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), said
    refused(said, sentence)


def test_garbage_lines_are_counted_and_kept_as_rejected(running: K2Home, tmp_path: Path) -> None:
    lines = [
        b"\x00\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b'{"e":"trade"}',
        b'{"result":null,"id":1}',
        b"",
    ]
    (tmp_path / "odd.ndjson").write_bytes(b"\n".join(lines))

    (counts,) = running.json("replay", tmp_path / "odd.ndjson", "--exchange", "binance")["files"]

    assert counts["trades"] == 0
    assert counts["rejected"] + counts["other"] == len([line for line in lines if line])
    assert counts["rejected"] >= 3


def test_a_missing_table_or_exchange_is_refused_before_anything_starts(home: K2Home) -> None:
    refused(home.run("show", "gold", code=2), "no table 'gold'", "gold_trades")
    refused(home.run("replay", K2_FILE, "--exchange", "ftx", code=2), "ftx", "binance")
    assert not home.folder.exists()


K2_FILE = Path(__file__)


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_command_that_is_ended_while_spark_starts_leaves_no_jvm(
    running: K2Home, seconds: float
) -> None:
    running.run("simulate", "--rate", "max", "--count", "100")
    services = {process.pid for process in running.processes()}
    command = running.start("drain")
    # Itself, and Spark: PySpark knows nothing of its JVM yet.
    wait_until(lambda: len(running.processes()) > len(services) + 1, why=running.output.read_text)
    time.sleep(seconds)

    command.send_signal(signal.SIGINT)

    assert command.wait(PATIENCE) == 130, running.output.read_text()
    wait_until(lambda: {process.pid for process in running.processes()} <= services, GONE_SECONDS)
    assert "Traceback" not in running.output.read_text()
