"""A /tmp from which no library can be loaded: another place is taken, or the start says so."""

import os
from pathlib import Path

import pytest
import yaml

from k2.errors import ConfigError
from k2.jvm import native_libraries
from k2.jvm.native_libraries import check_native_libraries, native_library_options
from k2.local.services.kafka import Kafka

pytestmark = pytest.mark.unit

COMPOSE = Path(__file__).parents[3] / "docker-compose.yml"
RUN_JAVA = ("k2:", "apache/kafka:", "quay.io/apicurio/")


@pytest.fixture
def noexec(monkeypatch):
    """Mount folders noexec, as far as K2 can see."""
    mounted = set()
    monkeypatch.setattr(native_libraries, "is_noexec", lambda folder: folder in mounted)
    return mounted


def test_java_keeps_its_own_folder_where_libraries_load_from_it(settings, tmp_path, noexec):
    assert native_library_options(settings, tmp_path) == []
    assert not settings.run.exists()


def test_the_home_takes_the_libraries_of_a_tmp_that_is_noexec(settings, tmp_path, noexec):
    noexec.add(tmp_path)

    options = native_library_options(settings, tmp_path)

    folder = settings.run / "native"
    assert options == [f"-DZstdTempFolder={folder}", f"-Dorg.xerial.snappy.tempdir={folder}"]
    assert folder.is_dir()


def test_kafka_gets_them_too(settings, noexec):
    noexec.add(native_libraries._JAVAS_OWN)

    command = Kafka(settings, Path("java"), Path("jars"), 1, 2).command()

    assert f"-DZstdTempFolder={settings.run / 'native'}" in command


def test_without_any_such_folder_the_start_is_refused(settings, tmp_path, noexec):
    noexec.update({tmp_path, settings.run / "native"})

    with pytest.raises(ConfigError, match=r"both are mounted noexec\. Mount one with `exec`"):
        native_library_options(settings, tmp_path)


def test_what_a_killed_process_left_is_removed_and_what_one_loads_now_is_not(
    settings, tmp_path, noexec
):
    noexec.add(tmp_path)
    native_library_options(settings, tmp_path)
    old, new = (settings.run / "native" / name for name in ("old.so", "new.so"))
    old.touch()
    new.touch()
    os.utime(old, (0, 0))

    native_library_options(settings, tmp_path)

    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("zstd", [None, "of-zstd"])
def test_a_submitted_driver_that_could_write_no_batch_is_refused(tmp_path, noexec, zstd):
    folder = tmp_path / (zstd or "of-java")
    folder.mkdir()
    given = (str(tmp_path / "of-java"), zstd and str(folder))
    check_native_libraries(*given)
    noexec.add(folder)

    with pytest.raises(ConfigError, match=r"mounted noexec.*-Djava\.io\.tmpdir"):
        check_native_libraries(*given)


def test_compose_mounts_the_tmp_of_its_java_services_with_exec():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    mounts = {
        name: mount.partition(":")[2].split(",")
        for name, service in services.items()
        for mount in service.get("tmpfs", ())
        if service["image"].startswith(RUN_JAVA) and mount[1:4] == "tmp"
    }

    assert {"spark-master", "registry"} <= mounts.keys()
    assert [name for name, options in mounts.items() if "exec" not in options] == []
