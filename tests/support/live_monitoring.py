"""K2 and a real Prometheus with the shipped configuration, sped up, for tests on a running system."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil

from k2.home.ports import free_port
from k2.local.services.monitoring import Prometheus as Service
from k2.local.services.monitoring import Targets
from k2.settings import Settings
from tests.support.exchange_server import server_of_trades

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "monitoring"

# What the rules' times become, so that a fault takes seconds to be told and not minutes.
FASTER = {"30s": "2s", "1m": "3s", "2m": "4s", "5m": "5s", "10m": "60s", "1h": "5m"}

WATCHDOG = ("Watchdog", "")
_JOINING_SECONDS = 5.0
PATIENCE = 300.0  # seconds; the machine may be busy with other tests

CANARY = "c4n4ry-5ecret"


@dataclass
class K2:
    """A detached ``k2 up`` in a home of its own."""

    home: Path
    ui_port: int = 0

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a ``k2`` command on this home."""
        done = subprocess.run(
            [sys.executable, "-m", "k2", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        if check and done.returncode:
            log = self.home / "logs" / "k2.log"
            tail = log.read_text()[-2000:] if log.exists() else ""
            raise AssertionError(f"k2 {arguments}: {done.stdout}{done.stderr}\n{tail}")
        return done

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its commands: free ports, and a Spark that is told secrets."""
        ports = ("METRICS", "PROMETHEUS", "ALERTMANAGER")
        return {
            **os.environ,
            "K2_HOME": str(self.home),
            **{f"K2_{name}_PORT": "0" for name in ports},
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

    @cached_property
    def status(self) -> dict[str, Any]:
        """What ``k2 status`` said first of streams that run."""

        def said() -> dict[str, Any] | None:
            found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
            return found if found["spark_ui"] else None

        return dict(eventually(said, PATIENCE, "streams to run"))

    @cached_property
    def metrics_ports(self) -> dict[str, int]:
        """Each stream's port."""
        return {stream["name"]: stream["metrics_port"] for stream in self.status["streams"]}

    @property
    def ui(self) -> str:
        """The address of Spark's UI."""
        return str(self.status["spark_ui"])

    @cached_property
    def pid(self) -> int:
        """The process that runs the streams."""
        return int((self.home / "run" / "ready").read_text())

    def child(self, marker: str) -> psutil.Process:
        """The one process below it that has a text among its arguments."""
        children = psutil.Process(self.pid).children(recursive=True)
        (found,) = (child for child in children if any(marker in a for a in _arguments(child)))
        return found

    def pages(self) -> dict[str, str]:
        """What each stream serves now."""
        return {
            name: page(f"http://127.0.0.1:{port}/metrics")
            for name, port in self.metrics_ports.items()
        }


@contextmanager
def k2_up(home: Path, *options: str, ui_port: int = 0) -> Iterator[K2]:
    """Run K2 until the block ends."""
    k2 = K2(home, ui_port)
    try:
        k2.run("up", "--detach", *options)
        yield k2
    finally:
        k2.run("down", check=False)


@contextmanager
def live_feed(k2: K2) -> Iterator[None]:
    """Run a live feed beside K2, of a local server that sends ten trades a second."""
    with server_of_trades("kraken", ("BTC/USD", "ETH/USD"), rate=10.0) as server:
        config = k2.home / "feeds.toml"
        config.write_text(
            f"[services.kraken]\nmarkets = {json.dumps(server.markets)}\n"
            f'url = "{server.url}"\nhistory_url = "{server.history_url}"\n'
        )
        command = [sys.executable, "-m", "k2", "feed", "run", "--config", str(config)]
        environment = k2.environment | {"K2_FEED_METRICS_PORT": "0"}
        with (k2.home / "logs" / "live-feed.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        noted = k2.home / "prometheus" / "targets" / "feed.json"
        try:
            eventually(noted.exists, PATIENCE, "the live feed to serve its metrics")
            yield
        finally:
            process.terminate()
            process.wait(30)


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return a query's samples, now."""
        query = {"query": promql}
        answer = httpx.post(f"{self.url}/api/v1/query", data=query, timeout=60.0).json()
        assert answer["status"] == "success", f"{promql}: {answer}"
        return list(answer["data"]["result"])

    def alerts(self) -> set[tuple[str, str]]:
        """Return the alerts that fire, each with its stream or exchange."""
        alerts = json.loads(page(f"{self.url}/api/v1/alerts"))["data"]["alerts"]
        return {
            (of["alertname"], of.get("stream") or of.get("exchange") or "")
            for alert in alerts
            if alert["state"] == "firing"
            for of in [alert["labels"]]
        }

    def settled(self, seconds: float) -> set[tuple[str, str]]:
        """Wait for a fault's alerts, and for others to join them; return all but the watchdog."""
        eventually(self._faults, seconds, "an alert")
        end = time.monotonic() + _JOINING_SECONDS
        found = self._faults()
        while time.monotonic() < end:
            found |= self._faults()
        return found

    def is_quiet(self) -> bool:
        """Tell whether the watchdog fires, and nothing else."""
        return self.alerts() == {WATCHDOG}

    def _faults(self) -> set[tuple[str, str]]:
        return self.alerts() - {WATCHDOG}


@contextmanager
def prometheus(folder: Path, k2: K2) -> Iterator[Prometheus]:
    """Run Prometheus upon K2 until the block ends: the shipped configuration, but faster."""
    shipped = folder / "shipped"
    shutil.copytree(SHIPPED / "prometheus", shipped / "prometheus")
    config = shipped / "prometheus" / "prometheus.yml"
    config.write_text(config.read_text().replace(": 15s", ": 1s"))
    for path in (shipped / "prometheus" / "rules").glob("*.yml"):
        path.write_text(faster(path.read_text()))
    program = shutil.which("prometheus")
    assert program is not None
    ui = int(k2.ui.rpartition(":")[2])
    service = Service(
        Settings.load(home=folder),
        Path(program),
        free_port(),
        free_port(),
        Targets(k2.metrics_ports, ui),
        shipped,
    )
    service.prepare()
    noted = k2.home / "prometheus" / "targets"
    eventually((noted / "jobs.json").exists, PATIENCE, "the jobs' service to serve its metrics")
    for file in (noted / "jobs.json", *noted.glob("feed*.json")):
        shutil.copy(file, service.folder / "targets")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(service.command(), cwd=service.folder, stdout=log, stderr=log)
        try:
            eventually(service.ready, PATIENCE, "Prometheus to be ready")
            yield Prometheus(service.url)
        finally:
            process.terminate()
            process.wait(20)


def page(url: str) -> str:
    """Return what an address shows; patiently, for the machine may be busy with other tests."""
    return httpx.get(url, follow_redirects=True, timeout=60.0).text


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


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []
