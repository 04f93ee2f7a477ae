"""Prometheus and Alertmanager of this machine, with the configuration that ships with K2."""

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from k2.errors import ConfigError
from k2.feeds.live.feed_state import MAX_PLACES, is_taken, placed
from k2.home.atomic_files import replace_whole
from k2.home.ports import LOOPBACK
from k2.local.services.service import answers
from k2.observability.scrape_targets import (
    prometheus_folder,
    scrape_target,
    target_file,
    write_target,
)
from k2.settings import Settings
from k2.shipped import shipped_folder

_ALERTMANAGERS = ("alertmanager", "prometheus-alertmanager")  # the second is Debian's name


def monitoring_folder() -> Path:
    """Return the folder of what is shipped for Prometheus, Alertmanager, Grafana and JMX.

    Raises:
        ConfigError: it is not there.
    """
    return shipped_folder("monitoring")


def find_programs() -> tuple[Path, Path]:
    """Return the programs of Prometheus and Alertmanager.

    Raises:
        ConfigError: one is not installed.
    """
    found = [_program("prometheus"), _program(*_ALERTMANAGERS)]
    names = ("Prometheus", "Alertmanager")
    missing = [name for name, path in zip(names, found, strict=True) if path is None]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise ConfigError(
            f"{' and '.join(missing)} {are} not installed. Install both (`apt install prometheus"
            " prometheus-alertmanager`), or run without --monitoring: the metrics are served all the"
            " same, and docs/how-to/monitor.md says how to read them."
        )
    prometheus, alertmanager = found
    return Path(str(prometheus)), Path(str(alertmanager))


@dataclass(frozen=True)
class Targets:
    """Where metrics are: each stream's port, the Spark UI's, and the broker's agent's if it has one."""

    streams: Mapping[str, int]
    spark_ui: int
    kafka: int | None = None


@dataclass(frozen=True)
class Prometheus:
    """Prometheus in ``K2_HOME/prometheus``; its series outlive a restart."""

    settings: Settings
    program: Path
    port: int
    alertmanager_port: int
    targets: Targets
    shipped: Path = field(default_factory=monitoring_folder)
    name: str = "prometheus"
    title: str = "Prometheus"

    @property
    def folder(self) -> Path:
        """``K2_HOME/prometheus``."""
        return prometheus_folder(self.settings)

    @property
    def marker(self) -> str:
        """Names the home, so that one home's Prometheus is never taken for another's."""
        return f"--storage.tsdb.path={self.folder / 'data'}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Write the configuration: the shipped one, with the ports of this run."""
        (self.folder / "targets").mkdir(parents=True, exist_ok=True)
        _clear_feeds(self.settings)
        text = (self.shipped / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
        replace_whole(self.folder / "prometheus.yml", self._adapted(text).encode())
        write_target(self.settings, "kafka", self.targets.kafka, driver="kafka")

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        return [
            str(self.program),
            "--config.file=prometheus.yml",
            self.marker,
            "--storage.tsdb.retention.size=1GB",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            f"--web.external-url={self.url}",  # in links of alerts
            "--log.level=warn",
        ]

    def ready(self) -> bool:
        """Tell whether it answers."""
        return answers(f"{self.url}/-/ready")

    def _adapted(self, text: str) -> str:
        """The shipped text with other ports; each stream's stands before its name in a comment."""

        def target(line: re.Match[str]) -> str:
            return f"{LOOPBACK}:{self.targets.streams[line[1]]} # {line[1]}"

        known = "|".join(map(re.escape, self.targets.streams))
        text = re.sub(rf"{re.escape(LOOPBACK)}:\d+ # ({known})\b", target, text)
        for shipped, actual in (
            (4040, self.targets.spark_ui),
            (9090, self.port),
            (9093, self.alertmanager_port),
        ):
            text = text.replace(f'"{LOOPBACK}:{shipped}"', f'"{LOOPBACK}:{actual}"')
        rules = self.shipped / "prometheus" / "rules"
        return text.replace("[rules/*.yml]", json.dumps([str(rules / "*.yml")]))


@dataclass(frozen=True)
class Alertmanager:
    """Alertmanager in ``K2_HOME/alertmanager``; what was silenced stays so after a restart."""

    settings: Settings
    program: Path
    port: int
    shipped: Path = field(default_factory=monitoring_folder)
    name: str = "alertmanager"
    title: str = "Alertmanager"

    @property
    def folder(self) -> Path:
        """``K2_HOME/alertmanager``."""
        return self.settings.home / "alertmanager"

    @property
    def marker(self) -> str:
        """Names the home, so that one home's Alertmanager is never taken for another's."""
        return f"--storage.path={self.folder / 'data'}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Copy the shipped configuration the first time; from then on it belongs to the user."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "alertmanager.yml"
        if not config.exists():
            shutil.copyfile(self.shipped / "alertmanager" / "alertmanager.yml", config)

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        return [
            str(self.program),
            "--config.file=alertmanager.yml",
            self.marker,
            f"--web.listen-address={LOOPBACK}:{self.port}",
            f"--web.external-url={self.url}",  # in links of alerts
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def ready(self) -> bool:
        """Tell whether it answers."""
        return answers(f"{self.url}/-/ready")


def feed_target(settings: Settings, place: int, port: int) -> AbstractContextManager[None]:
    """Have Prometheus read a feed's metrics until the block ends.

    A process that is killed leaves its entry, which then raises FeedDown.
    """
    return scrape_target(settings, placed("feed", place), port, driver="feed")


def _clear_feeds(settings: Settings) -> None:
    """Remove feeds that no longer run, so that a new run begins without their alert."""
    for place in range(MAX_PLACES):
        if not is_taken(settings, place):
            target_file(settings, placed("feed", place)).unlink(missing_ok=True)


def _program(*names: str) -> Path | None:
    found = next((path for name in names if (path := shutil.which(name))), None)
    return Path(found) if found else None
