"""What K2 talks to: Kafka, its topics, the registry and the schemas in it."""

from collections.abc import Iterator

from k2.avro.schema_files import schema_text
from k2.avro.schema_resolution import can_be_read
from k2.cli.checks.check import Check, State
from k2.connectors.kafka import watermarks
from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import K2Error
from k2.exchanges import EXCHANGES
from k2.home.endpoints import find_endpoints
from k2.observability.redaction import redacted
from k2.settings import Settings
from k2.topology import schema_cache


def check_services(settings: Settings) -> Iterator[Check]:
    """Ask Kafka and the registry, where some are set or run."""
    try:
        endpoints = find_endpoints(settings)
    except K2Error as error:
        yield Check("Services", State.WARNING, "none set and none running", str(error))
        return
    yield from _check_kafka(endpoints.kafka)
    yield from _check_registry(settings, endpoints.registry)


def _check_kafka(kafka: str) -> Iterator[Check]:
    found = {}
    for exchange in EXCHANGES:
        try:
            found[exchange.topic] = len(watermarks(kafka, exchange.topic))
        except K2Error as error:
            yield Check("Kafka", State.MISSING, f"{redacted(kafka)} does not answer", str(error))
            return
    yield Check("Kafka", State.OK, f"{redacted(kafka)} answers")
    for topic, partitions in found.items():
        if partitions:
            yield Check(f"Topic {topic}", State.OK, f"{partitions} partitions")
        else:
            remedy = (
                "A feed of K2 makes it; with another feed, make it before the Bronze job starts."
            )
            yield Check(f"Topic {topic}", State.WARNING, "not there", remedy)


def _check_registry(settings: Settings, url: str) -> Iterator[Check]:
    registry = SchemaRegistry(url, schema_cache(settings, url), attempts=1)
    try:
        subjects = registry.newest_schemas(exchange.subject for exchange in EXCHANGES)
    except K2Error as error:
        yield Check("Registry", State.MISSING, f"{redacted(url)} does not answer", str(error))
        return
    yield Check("Registry", State.OK, f"{redacted(url)} answers")
    try:
        for schema_id in registry.known():
            registry.schema_by_id(schema_id)
    except K2Error as error:
        yield Check("Schemas kept", State.MISSING, "not those of this registry", str(error))
    for exchange in EXCHANGES:
        name, newest = f"Schema {exchange.subject}", subjects.get(exchange.subject)
        if newest is None:
            yield Check(name, State.WARNING, "not registered", "A feed of K2 registers it.")
        elif can_be_read(newest, schema_text(exchange.reader_schema)):
            yield Check(name, State.OK, "its newest version can be read")
        else:
            remedy = "Its records become dead letters: `k2 dlq list`. Register one that K2 reads."
            yield Check(name, State.MISSING, "its newest version is none of ours", remedy)
