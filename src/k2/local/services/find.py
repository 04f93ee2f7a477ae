"""Decide which services a run starts: those that no setting names elsewhere, with their ports and jars."""

from typing import NamedTuple

from k2.home.login import kafka_address, registry_address
from k2.home.ports import LOOPBACK, claimed, free_port
from k2.jvm.class_data_sharing import ClassArchive
from k2.jvm.jars import Group, resolve
from k2.jvm.java import find_java
from k2.local.services.kafka import Agent, Kafka
from k2.local.services.registry import Registry
from k2.local.services.service import Endpoints, Service
from k2.settings import Settings


class LocalServices(NamedTuple):
    """Services in the order of their start, their archives of classes, and where all are reached."""

    services: tuple[Service, ...]
    archives: dict[str, ClassArchive]
    endpoints: Endpoints


def find_services(settings: Settings, agent: Agent | None = None) -> LocalServices:
    """Return the services that the run starts: not those that ``K2_KAFKA`` and ``K2_REGISTRY`` name.

    Raises:
        ConfigError: no Java, or a file of a login cannot be read.
        InUseError: somebody has the port.
        UnavailableError: jars are missing and cannot be fetched.
    """
    # Ports before jars: what takes a moment to say should not wait for a download.
    kafka_port = registry_port = 0
    if not settings.kafka:
        kafka_port = claimed(settings.kafka_port, "Kafka", "K2_KAFKA_PORT")
    if not settings.registry:
        registry_port = claimed(settings.registry_port, "the schema registry", "K2_REGISTRY_PORT")
    services: list[Service] = []
    archives: dict[str, ClassArchive] = {}
    # Who is set is somebody's who may ask for a login.
    kafka: str = kafka_address(settings)
    registry: str = registry_address(settings)
    if not registry:  # it goes first: it needs no formatting
        local_registry = _find_registry(settings, registry_port, archives)
        services.append(local_registry)
        registry = local_registry.url
    if not kafka:
        services.append(_find_kafka(settings, kafka_port, agent, archives))
        kafka = f"{LOOPBACK}:{kafka_port}"
    return LocalServices(tuple(services), archives, Endpoints(kafka, registry))


def _find_registry(settings: Settings, port: int, archives: dict[str, ClassArchive]) -> Registry:
    java = find_java(settings.java_home, settings.java_variable).executable
    (runner,) = resolve(Group.REGISTRY, settings.jar_cache, offline=settings.offline)
    if settings.class_archives:
        archives["registry"] = ClassArchive.of("registry", java, [runner], settings.jar_cache)
    return Registry(settings, java, runner, port, archives.get("registry"))


def _find_kafka(
    settings: Settings, port: int, agent: Agent | None, archives: dict[str, ClassArchive]
) -> Kafka:
    java = find_java(settings.java_home, settings.java_variable).executable
    jars = resolve(Group.KAFKA, settings.jar_cache, offline=settings.offline)
    if settings.class_archives:
        archives["kafka"] = ClassArchive.of("kafka", java, jars, settings.jar_cache)
    folder = jars[0].parent
    return Kafka(settings, java, folder, port, free_port(), agent, archives.get("kafka"))
