"""Prometheus, Alertmanager and the broker's agent beside a run: ``k2 up --monitoring``."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from k2.errors import UnavailableError
from k2.home.atomic_files import replace_whole
from k2.home.ports import claimed, free_port
from k2.jvm.jars import Group, resolve
from k2.local.services.kafka import Agent
from k2.local.services.monitoring import (
    Alertmanager,
    Prometheus,
    Targets,
    find_programs,
    monitoring_folder,
)
from k2.local.services.service import answers
from k2.local.stack import LocalStack
from k2.observability.status import StreamStatus
from k2.settings import Settings
from k2.topology import port_of, stream_names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NOTE = "monitoring.json"  # in K2_HOME/run

Say = Callable[[str], None]


@dataclass(frozen=True)
class Monitoring:
    """The monitoring programs that were found on this machine, before any is started."""

    settings: Settings
    prometheus: Path
    alertmanager: Path
    prometheus_port: int
    alertmanager_port: int
    agent: Agent | None

    @classmethod
    def found(cls, settings: Settings, say: Say) -> "Monitoring":
        """Find the programs, and claim their ports.

        Raises:
            ConfigError: one is not installed.
            InUseError: a port is taken.
        """
        prometheus, alertmanager = find_programs()
        return cls(
            settings,
            prometheus,
            alertmanager,
            claimed(settings.prometheus_port, "Prometheus", "K2_PROMETHEUS_PORT"),
            claimed(settings.alertmanager_port, "Alertmanager", "K2_ALERTMANAGER_PORT"),
            None if settings.kafka else _agent(settings, say),  # of the local broker
        )

    def start(
        self,
        stack: LocalStack,
        statuses: Iterable[StreamStatus],
        spark: "SparkSession | None",
        say: Say,
    ) -> None:
        """Start both on the streams of this process, or on the ports where those of other processes will be.

        Raises:
            FailedError: one of them did not start.
        """
        settings = self.settings
        ports = {name: port_of(name, settings.metrics_port) for name in stream_names()}
        ports |= {status.name: status.metrics_port for status in statuses if status.metrics_port}
        ui = urlsplit(spark.sparkContext.uiWebUrl or "").port if spark is not None else None
        targets = Targets(ports, ui or settings.ui_port, self.agent.port if self.agent else None)
        prometheus = Prometheus(
            settings, self.prometheus, self.prometheus_port, self.alertmanager_port, targets
        )
        alertmanager = Alertmanager(settings, self.alertmanager, self.alertmanager_port)
        stack.add([alertmanager, prometheus], say)
        noted = {"prometheus": prometheus.url, "alertmanager": alertmanager.url}
        replace_whole(settings.run / _NOTE, json.dumps(noted).encode())
        for line in addresses(settings):
            say(line)


def monitoring_urls(settings: Settings) -> dict[str, str]:
    """Return where Prometheus and Alertmanager of the run in progress answer; empty without them."""
    try:
        noted = json.loads((settings.run / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def addresses(settings: Settings) -> list[str]:
    """Return, in sentences, where alerts are shown and how Grafana comes to its dashboards."""
    urls = monitoring_urls(settings)
    if not urls:
        return []
    grafana = monitoring_folder() / "grafana"
    return [
        f"Alerts are at {alerts_page(urls['prometheus'])}; {urls['alertmanager']} tells people of them.",
        f"For Grafana: K2_PROMETHEUS_URL={urls['prometheus']} K2_DASHBOARDS={grafana}/dashboards"
        f" GF_PATHS_PROVISIONING={grafana}/provisioning"
        " grafana server --homepath /usr/share/grafana",
    ]


def alerts_page(prometheus: str) -> str:
    """Return where a Prometheus shows its alerts; Debian's has its pages under ``/classic``."""
    classic = f"{prometheus}/classic/alerts"
    return classic if answers(classic) else f"{prometheus}/alerts"


def _agent(settings: Settings, say: Say) -> Agent | None:
    """The broker's metrics are optional: without the agent's jar everything else works."""
    try:
        (jar,) = resolve(Group.JMX, settings.jar_cache, offline=settings.offline)
    except UnavailableError as error:
        say(f"Without Kafka's own metrics: {error}")
        return None
    return Agent(jar, free_port(), monitoring_folder() / "jmx" / "kafka.yml")
