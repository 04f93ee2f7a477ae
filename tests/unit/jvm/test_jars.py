"""The jar cache: filled once, believed only when whole."""

import errno
import json
import shutil
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from k2.errors import ConfigError, FailedError, UnavailableError
from k2.jvm.jars import Group, cached, coordinates, resolve

pytestmark = pytest.mark.unit


class Repository:
    """Stands in for Maven: makes small jars, or fails."""

    def __init__(self, error: Exception | None = None, *, damaged: bool = False) -> None:
        self.calls = 0
        self.left_out: set[str] = set()
        self._error = error
        self._damaged = damaged

    def __call__(
        self, group: str, wanted: list[str], left_out: set[str], folder: Path, console: Console
    ) -> list[Path]:
        self.calls += 1
        self.left_out = left_out
        folder.mkdir()
        files = [self._file(folder, *coordinate.split(":")[1:3]) for coordinate in wanted]
        if self._error is not None:
            raise self._error
        return files

    def _file(self, folder: Path, name: str, version: str) -> Path:
        path = folder / f"{name}-{version}.jar"
        with zipfile.ZipFile(path, "w") as jar:
            jar.writestr("A.class", "bytes " * 100)
        if self._damaged:
            path.write_bytes(path.read_bytes()[:-30])
        return path


def forbidden(*_: object) -> list[Path]:
    raise AssertionError("the network was asked")


def quiet() -> Console:
    return Console(file=StringIO())


def test_a_second_call_asks_no_network(tmp_path: Path) -> None:
    first = resolve(Group.KAFKA, tmp_path, fetch=Repository(), console=quiet())

    second = resolve(Group.KAFKA, tmp_path, fetch=forbidden, offline=True)

    assert second == first
    assert [jar.name for jar in first] == ["kafka_2.13-4.2.0.jar", "slf4j-simple-1.7.36.jar"]


def test_groups_do_not_mix(tmp_path: Path) -> None:
    resolve(Group.KAFKA, tmp_path, fetch=Repository(), console=quiet())

    assert cached(Group.SPARK, tmp_path) is None


def test_offline_without_a_cache_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as raised:
        resolve(Group.SPARK, tmp_path, offline=True, fetch=forbidden)

    message = str(raised.value)
    assert all(coordinate in message for coordinate in coordinates(Group.SPARK))
    assert "Run `k2 jars` once with a network" in message


@pytest.mark.parametrize(
    "error", [OSError("connection refused"), RuntimeError("not found in remote repositories")]
)
def test_a_failed_fetch_says_why_and_leaves_nothing(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(UnavailableError, match=str(error)):
        resolve(Group.KAFKA, tmp_path, fetch=Repository(error), console=quiet())

    assert [path.name for path in tmp_path.iterdir()] == ["kafka.lock"]


def test_a_damaged_jar_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"zip file|damaged") as raised:
        resolve(Group.KAFKA, tmp_path, fetch=Repository(damaged=True), console=quiet())

    assert isinstance(raised.value, UnavailableError)
    assert cached(Group.KAFKA, tmp_path) is None


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    full = Repository(OSError(errno.ENOSPC, "No space left on device"))

    with pytest.raises(FailedError, match=r"disk of .* is full"):
        resolve(Group.KAFKA, tmp_path, fetch=full, console=quiet())


def test_a_cache_that_is_a_file_is_a_wrong_setting(tmp_path: Path) -> None:
    file = tmp_path / "cache"
    file.touch()

    with pytest.raises(ConfigError, match="K2_JAR_CACHE"):
        resolve(Group.KAFKA, file, fetch=Repository(), console=quiet())


def test_what_a_killed_fetch_left_is_not_believed_and_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".kafka-k1ll3d" / "jars"
    left.mkdir(parents=True)
    (left / "half.jar").write_bytes(b"PK")

    resolve(Group.KAFKA, tmp_path, fetch=Repository(), console=quiet())

    assert not left.parent.exists()


@pytest.mark.parametrize("defect", ["jar gone", "jar cut short", "no record", "broken record"])
def test_a_cache_that_is_not_whole_is_filled_again(tmp_path: Path, defect: str) -> None:
    jar, *_ = resolve(Group.KAFKA, tmp_path, fetch=Repository(), console=quiet())
    whole = jar.read_bytes()
    record = jar.parent / "files.json"
    {
        "jar gone": jar.unlink,
        "jar cut short": lambda: jar.write_bytes(whole[:10]),
        "no record": record.unlink,
        "broken record": lambda: record.write_text("{"),
    }[defect]()
    repository = Repository()

    resolve(Group.KAFKA, tmp_path, fetch=repository, console=quiet())

    assert repository.calls == 1
    assert jar.stat().st_size == len(whole)
    assert jar.name in json.loads(record.read_text())


def test_two_at_once_fetch_once(tmp_path: Path) -> None:
    repository = Repository()
    together = threading.Barrier(2)

    def ask() -> list[Path]:
        together.wait()
        return resolve(Group.KAFKA, tmp_path, fetch=repository, console=quiet())

    with ThreadPoolExecutor(2) as pool:
        found = [asked.result() for asked in (pool.submit(ask), pool.submit(ask))]

    assert repository.calls == 1
    assert found[0] == found[1]


def test_what_spark_brings_itself_is_left_out(tmp_path: Path) -> None:
    repository = Repository()

    resolve(Group.SPARK, tmp_path, fetch=repository, console=quiet())

    assert {"scala-library", "jackson-core", "slf4j-api", "hadoop-client-api", "lz4-java"} <= (
        repository.left_out
    )
    assert not {"kafka-clients", "commons-pool2", "delta-storage"} & repository.left_out


def test_an_archive_is_unpacked_and_its_jar_to_run_is_returned(tmp_path: Path) -> None:
    content = tmp_path / "content"
    (content / "lib").mkdir(parents=True)
    (content / "app-runner.jar").write_bytes(b"runner")
    (content / "lib" / "one.jar").write_bytes(b"library")

    def fetch(*arguments: object) -> list[Path]:
        folder = arguments[3]
        assert isinstance(folder, Path)
        folder.mkdir()
        with tarfile.open(folder / "app.tar.gz", "w:gz") as archive:
            archive.add(content, arcname=".")
        return [folder / "app.tar.gz"]

    jars = resolve(Group.REGISTRY, tmp_path / "cache", fetch=fetch, console=quiet())

    assert [jar.name for jar in jars] == ["app-runner.jar"]
    assert (jars[0].parent / "lib" / "one.jar").read_bytes() == b"library"


def test_a_library_that_an_archive_lost_counts_as_not_whole(tmp_path: Path) -> None:
    test_an_archive_is_unpacked_and_its_jar_to_run_is_returned(tmp_path)
    (jar,) = cached(Group.REGISTRY, tmp_path / "cache") or []

    shutil.rmtree(jar.parent / "lib")

    assert cached(Group.REGISTRY, tmp_path / "cache") is None


def test_every_coordinate_has_a_version() -> None:
    for group in Group:
        for coordinate in coordinates(group):
            assert len(coordinate.split(":")) in (3, 5)
