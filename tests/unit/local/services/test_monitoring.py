"""Prometheus and Alertmanager run with the shipped configuration and the ports of the run."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from k2.errors import ConfigError
from k2.local.services import monitoring
from k2.local.services.kafka import Agent
from k2.local.services.monitoring import (
    Alertmanager,
    Prometheus,
    Targets,
    find_programs,
    monitoring_folder,
)
from k2.settings import Settings
from k2.topology import stream_names

pytestmark = pytest.mark.unit

PORTS = {name: 21_000 + place for place, name in enumerate(stream_names())}


def prometheus(settings: Settings, kafka: int | None = None) -> Prometheus:
    targets = Targets(PORTS, 21_050, kafka)
    return Prometheus(settings, Path("/bin/prometheus"), 21_090, 21_093, targets)


def written(service: Prometheus) -> dict[str, Any]:
    service.prepare()
    return dict(yaml.safe_load((service.folder / "prometheus.yml").read_text()))


def targets_of(config: dict[str, Any], job: str) -> list[str]:
    (found,) = (each for each in config["scrape_configs"] if each["job_name"] == job)
    return [target for each in found["static_configs"] for target in each["targets"]]


def test_it_scrapes_the_ports_that_the_streams_have(settings: Settings) -> None:
    config = written(prometheus(settings))

    assert set(targets_of(config, "k2-streams")) == {f"127.0.0.1:{p}" for p in PORTS.values()}
    assert targets_of(config, "spark-driver") == ["127.0.0.1:21050"]
    assert targets_of(config, "spark-executors") == ["127.0.0.1:21050"]
    assert targets_of(config, "prometheus") == ["127.0.0.1:21090"]
    (alertmanager,) = config["alerting"]["alertmanagers"]
    assert alertmanager["static_configs"][0]["targets"] == ["127.0.0.1:21093"]


def test_it_reads_the_shipped_rules(settings: Settings) -> None:
    (rules,) = written(prometheus(settings))["rule_files"]

    assert {path.name for path in Path(rules).parent.glob("*.yml")} == {
        "alerts.yml",
        "recording.yml",
    }


@pytest.mark.parametrize(("port", "targets"), [(21_071, ["127.0.0.1:21071"]), (None, [])])
def test_the_broker_is_a_target_when_it_has_its_agent(
    settings: Settings, port: int | None, targets: list[str]
) -> None:
    service = prometheus(settings, port)
    service.prepare()

    listed = json.loads((service.folder / "targets" / "kafka.json").read_text())

    assert [target for each in listed for target in each["targets"]] == targets


def test_a_configuration_of_the_users_own_is_kept(settings: Settings) -> None:
    service = Alertmanager(settings, Path("/bin/alertmanager"), 21_093)
    service.prepare()
    config = service.folder / "alertmanager.yml"
    shipped = monitoring_folder() / "alertmanager" / "alertmanager.yml"
    assert config.read_text() == shipped.read_text()

    config.write_text("route: {receiver: mine}\n")
    service.prepare()

    assert config.read_text() == "route: {receiver: mine}\n"


def test_services_have_their_markers_and_listen_on_loopback(settings: Settings) -> None:
    services = (prometheus(settings), Alertmanager(settings, Path("/bin/alertmanager"), 21_093))

    for service in services:
        command = service.command()
        assert service.marker in command
        assert str(settings.home) in service.marker
        assert f"--web.listen-address=127.0.0.1:{service.port}" in command
        assert not service.ready()


def test_what_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        monitoring.shutil, "which", lambda name: "/bin/p" if name == "prometheus" else None
    )

    with pytest.raises(ConfigError, match="Alertmanager is not installed") as error:
        find_programs()

    assert "apt install" in str(error.value)
    assert "monitor.md" in str(error.value)


def test_debians_name_of_alertmanager_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"prometheus": "/bin/p", "prometheus-alertmanager": "/bin/a"}
    monkeypatch.setattr(monitoring.shutil, "which", there.get)

    assert find_programs() == (Path("/bin/p"), Path("/bin/a"))


def test_the_brokers_agent_is_told_its_port_and_rules() -> None:
    agent = Agent(Path("/jars/agent.jar"), 21_071, monitoring_folder() / "jmx" / "kafka.yml")

    assert agent.option.startswith("-javaagent:/jars/agent.jar=127.0.0.1:21071:")
    assert agent.config.is_file()
