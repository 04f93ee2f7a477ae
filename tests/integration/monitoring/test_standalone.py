"""A standalone master and worker, started as Compose does, tell of themselves and their machine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

pytest.importorskip("promql_parser", reason="promql-parser is not installed")

from k2.home.ports import LOOPBACK, free_port
from k2.jvm.jars import Group, resolve
from k2.settings import Settings
from monitoring.foreign_metrics import JMX
from tests.support.live_monitoring import ROOT, eventually, page

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_master_and_worker_serve_every_series_that_is_asked_of_them(tmp_path: Path) -> None:
    master_port, master_ui = free_port(), free_port()
    address = ["--host", LOOPBACK, "--port", str(master_port), "--webui-port", str(master_ui)]
    with daemon(tmp_path, "master.Master", *address) as master_jmx:
        places = ["--work-dir", str(tmp_path), "--cores", "1", "--memory", "512m"]
        master = f"spark://{LOOPBACK}:{master_port}"
        address = ["--host", LOOPBACK, "--webui-port", str(free_port())]
        with daemon(tmp_path, "worker.Worker", *address, *places, master) as worker_jmx:
            own = f"http://{LOOPBACK}:{master_ui}/metrics/master/prometheus"
            alive = eventually(lambda: value("aliveWorkers", own), 60, "the worker at the master")
            pages = [page(url(port)) for port in (master_jmx, worker_jmx)]

    assert alive == 1
    for text in pages:
        assert {name for name in JMX if f"\n{name} " not in text} == set()
        assert "k2_jmx_heap_used_bytes " in text
        assert "k2_jmx_gc_seconds_total{" in text


@contextmanager
def daemon(folder: Path, of: str, *options: str) -> Iterator[int]:
    """Run a daemon of Spark with the options of Compose; give the port of its agent."""
    port = free_port()
    (jar,) = resolve(Group.JMX, Settings.load().jar_cache)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    java = services["spark-master"]["environment"]["SPARK_DAEMON_JAVA_OPTS"]
    for there, here in (
        ("/opt/k2/jmx-agent.jar=7072", f"{jar}={LOOPBACK}:{port}"),
        ("/opt/k2/", f"{ROOT}/"),
    ):
        assert there in java
        java = java.replace(there, here)
    program = Path(sys.executable).parent / "spark-class"
    environment = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "SPARK_DAEMON_JAVA_OPTS": java,
        "SPARK_DAEMON_MEMORY": "256m",
    }
    with (folder / f"{of}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), f"org.apache.spark.deploy.{of}", *options],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            eventually(lambda: answers(port, process), 60, f"the agent of {of}")
            yield port
        finally:
            process.terminate()
            process.wait(20)


def answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "the daemon ended"
    return "k2_jmx_host_cpus" in (said(url(port)) or "")


def url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}/metrics"


def value(name: str, address: str) -> float | None:
    found = re.search(rf"^\S*{name}\S* (\S+)$", said(address) or "", re.MULTILINE)
    return float(found[1]) if found else None


def said(address: str) -> str | None:
    try:
        return page(address)
    except httpx.HTTPError:  # not yet
        return None
