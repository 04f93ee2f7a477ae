"""A machine that was set up for other programs: a run fills Gold all the same, or says why not."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.home import K2, K2Home

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

HDFS = """<configuration><property>
<name>fs.defaultFS</name><value>hdfs://nowhere.invalid:8020</value>
</property></configuration>"""
# Libraries do not load from /tmp, where the test's own home may be and is spared.
NOEXEC = """
mount --bind "$HOME_KEPT" "$HOME_KEPT" && mount --rbind /tmp /tmp && mount -o remount,bind,noexec /tmp
exec "$@"
"""
UNSHARE = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]


def may_mount() -> bool:
    """Whether the test may have a /tmp of its own."""
    try:
        command = [*UNSHARE, "mount", "--bind", "/tmp", "/tmp"]  # noqa: S108
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def home(tmp_path: Path):
    """A home of an odd name, and an environment in which nothing is for K2."""
    folder = tmp_path / "100% odd #1 ü"
    folder.mkdir()
    hadoop = tmp_path / "hadoop"
    hadoop.mkdir()
    (hadoop / "core-site.xml").write_text(HDFS)
    proxy = "http://127.0.0.1:9"
    home = K2Home(
        folder,
        **{name: proxy for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")},
        SPARK_HOME="/opt/no/spark",
        SPARK_CONF_DIR="/opt/no/conf",
        SPARK_REMOTE="sc://nowhere.invalid",
        HADOOP_CONF_DIR=str(hadoop),
        PROMETHEUS_MULTIPROC_DIR="/opt/no/metrics",
        LC_ALL="C",
        JAVA_TOOL_OPTIONS="-XX:+UseG1GC",
        K2_METRICS_PORT="0",
    )
    yield home
    home.kill_all()


@pytest.mark.parametrize(
    "noexec",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(not may_mount(), reason="this user may not mount a /tmp"),
        ),
    ],
    ids=["tmp as it is", "tmp noexec"],
)
def test_a_run_balances_in_an_environment_of_other_programs(home: K2Home, noexec: bool) -> None:
    prefix = [*UNSHARE, "sh", "-c", NOEXEC, "sh"] if noexec else []

    done = subprocess.run(
        [*prefix, K2, "up", "--for", "5s", "--rate", "300/s"],
        env=home.environment | {"HOME_KEPT": str(home.folder)},
        cwd=home.folder.parent,
        capture_output=True,
        text=True,
        timeout=home.patience,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert home.rows("gold_trades") > 100
    assert home.json("balance", "--tables-only")["balanced"] is True
    assert {p.name for p in home.folder.parent.iterdir()} <= {home.folder.name, "hadoop", "k2.out"}
