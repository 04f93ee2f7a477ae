"""What Kafka and the registry are started with."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from k2.home.paths import prepare_home
from k2.jvm.class_data_sharing import ClassArchive
from k2.local.services import kafka as kafka_module
from k2.local.services.kafka import Agent, Kafka
from k2.local.services.registry import Registry
from k2.settings import Settings

pytestmark = pytest.mark.unit


def properties_of(kafka: Kafka) -> dict[str, str]:
    lines = (kafka.folder / "server.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture
def kafka(settings: Settings) -> Kafka:
    prepare_home(settings)
    formatted = settings.home / "kafka" / "data" / "meta.properties"
    formatted.parent.mkdir()
    formatted.touch()
    return Kafka(settings, Path("/java"), Path("/jars"), 9001, 9002)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    prepare_home(settings)
    return Registry(settings, Path("/java"), Path("/app/runner.jar"), 9003)


def test_kafka_advertises_what_it_listens_on(kafka: Kafka) -> None:
    kafka.prepare()

    properties = properties_of(kafka)
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9001"
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:9001,CONTROLLER://127.0.0.1:9002"


def test_kafka_makes_no_topics_by_itself_and_deletes_nothing_for_its_age(kafka: Kafka) -> None:
    kafka.prepare()

    properties = properties_of(kafka)
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["log.retention.ms"] == "-1"


def test_kafka_archives_no_classes_beside_an_agent_but_maps_an_archive(
    kafka: Kafka, tmp_path: Path
) -> None:
    classes = ClassArchive(tmp_path / "kafka-1.jsa")
    agent = Agent(Path("/agent.jar"), 9004, Path("/kafka.yml"))
    observed = replace(kafka, classes=classes, agent=agent)

    before = observed.command()
    classes.path.touch()
    after = observed.command()

    assert agent.option in before
    assert not any("ArchiveClassesAtExit" in option for option in before)
    assert f"-XX:SharedArchiveFile={classes.path}" in after


@pytest.mark.parametrize("service", ["kafka", "registry"])
def test_a_service_has_its_memory_and_its_marker(
    service: str, settings: Settings, request: pytest.FixtureRequest
) -> None:
    started: Kafka | Registry = request.getfixturevalue(service)

    command = started.command()

    assert started.marker in command
    assert str(settings.home) in started.marker
    assert {"kafka": "-Xmx384m", "registry": "-Xmx160m"}[service] in command


def test_a_registry_database_that_was_never_ready_is_made_anew(registry: Registry) -> None:
    half = registry.folder / "schemas.mv.db"
    half.touch()

    registry.prepare()

    assert not half.exists()


def test_a_registry_database_that_was_once_ready_is_kept(registry: Registry) -> None:
    database = registry.folder / "schemas.mv.db"
    database.touch()
    (registry.folder / "initialised").touch()

    registry.prepare()

    assert database.exists()


def test_nobody_on_the_port_is_not_ready(kafka: Kafka, registry: Registry) -> None:
    assert not kafka.ready()
    assert not registry.ready()


def test_a_cluster_id_that_begins_with_a_dash_is_no_option(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_home(settings)
    java = tmp_path / "java"
    java.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    java.chmod(0o755)
    monkeypatch.setattr(kafka_module.uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" + b"k" * 15))

    Kafka(settings, java, Path("/jars"), 9001, 9002).prepare()

    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert [text for text in arguments if "-Gtra2tra2tra2tra2traw" in text] == [
        "--cluster-id=-Gtra2tra2tra2tra2traw"
    ]
