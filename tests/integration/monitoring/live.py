"""K2 and a real Prometheus with the shipped configuration, sped up, for tests on a running system."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "monitoring" / "prometheus"

# What the rules' times become, so that a fault takes seconds to be told and not minutes.
FASTER = {"30s": "2s", "1m": "3s", "2m": "4s", "5m": "5s", "10m": "30s", "1h": "5m"}

CANARY = "c4n4ry-5ecret"


def free_ports(count: int) -> int:
    """Return the first of some ports in a row that nobody listens on."""
    for first in range(21_000, 31_000, 10):
        probes = [socket.socket() for _ in range(count)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + offset))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise RuntimeError("no ports in a row are free")


@dataclass
class K2:
    """A detached ``k2 up`` in a home of its own."""

    home: Path
    metrics_port: int
    ui_port: int

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a ``k2`` command on this home."""
        done = subprocess.run(
            [sys.executable, "-m", "k2", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        if check and done.returncode:
            log = self.home / "logs" / "k2.log"
            tail = log.read_text()[-2000:] if log.exists() else ""
            raise AssertionError(f"k2 {arguments}: {done.stdout}{done.stderr}\n{tail}")
        return done

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its commands."""
        return {
            **os.environ,
            "K2_HOME": str(self.home),
            "K2_METRICS_PORT": str(self.metrics_port),
            "K2_UI_PORT": str(self.ui_port),
            "K2_LOG_FORMAT": "json",
            "SPARK_CONF_DIR": str(self.spark_conf),
        }

    @property
    def spark_conf(self) -> Path:
        """A Spark configuration with secrets in a name and in a value."""
        folder = self.home.with_name(self.home.name + "-spark-conf")
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "spark-defaults.conf").write_text(
            f"spark.k2.test.password {CANARY}\nspark.k2.test.url http://user:{CANARY}@registry\n"
        )
        return folder

    @property
    def pid(self) -> int:
        """The process that runs the streams."""
        return int((self.home / "run" / "ready").read_text())


@contextmanager
def k2_up(home: Path, *options: str) -> Iterator[K2]:
    """Run K2 until the block ends."""
    ports = free_ports(6)
    k2 = K2(home, ports, ports + 5)
    try:
        k2.run("up", "--detach", *options)
        yield k2
    finally:
        k2.run("down", check=False)


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return a query's samples, now."""
        answer = httpx.post(f"{self.url}/api/v1/query", data={"query": promql}).json()
        assert answer["status"] == "success", f"{promql}: {answer}"
        return list(answer["data"]["result"])

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = httpx.get(f"{self.url}/api/v1/alerts").json()["data"]["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}


@contextmanager
def prometheus(folder: Path, k2: K2) -> Iterator[Prometheus]:
    """Run Prometheus upon K2 until the block ends."""
    port = free_ports(1)
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(_config(k2, port)))
    (folder / "rules").mkdir()
    for path in (SHIPPED / "rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(faster(path.read_text()))
    command = shutil.which("prometheus")
    assert command is not None
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                command,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            found = Prometheus(f"http://127.0.0.1:{port}")
            eventually(lambda: _ready(found), 30, "Prometheus to be ready")
            yield found
        finally:
            process.terminate()
            process.wait(20)


def faster(rules: str) -> str:
    """Shorten the times of rules: how long an alert waits, and how far queries look back."""
    return re.sub(
        r"(for: |\[|offset )(30s|1m|2m|5m|10m|1h)\b", lambda m: m[1] + FASTER[m[2]], rules
    )


def eventually(holds: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until something holds, and return what it gave."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.5)
    return found


def _config(k2: K2, port: int) -> dict[str, Any]:
    text = (SHIPPED / "prometheus.yml").read_text()
    for offset in range(5):
        text = text.replace(f"127.0.0.1:{8000 + offset}", f"127.0.0.1:{k2.metrics_port + offset}")
    text = text.replace("127.0.0.1:4040", f"127.0.0.1:{k2.ui_port}")
    text = text.replace("127.0.0.1:9090", f"127.0.0.1:{port}").replace(": 15s", ": 1s")
    config = yaml.safe_load(text)
    del config["alerting"]
    return dict(config)


def _ready(found: Prometheus) -> bool:
    try:
        with closing(httpx.Client()) as client:
            return client.get(f"{found.url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False
