"""The local stack with real Kafka and registry: killed, revived, left and started again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from structlog.testing import capture_logs

from k2.errors import FailedError, InUseError
from k2.home.service_restarts import read_restarts
from k2.local.services.service import Health
from k2.local.stack import Endpoints, LocalStack, clean_orphans, read_endpoints
from k2.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

UP = Health(alive=True, ready=True)
StartOwner = Callable[[Path], "subprocess.Popen[bytes]"]
OWNER = """
import sys, threading
from k2.local.stack import LocalStack
from k2.settings import Settings
with LocalStack(Settings.load(home=sys.argv[1])):
    print("up", flush=True)
    threading.Event().wait()
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    # A name that a configuration file, a JDBC address or a class path could trip over.
    return Settings.load(home=tmp_path_factory.mktemp("stack") / "höme; of k2, 1")


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Iterator[LocalStack]:
    with LocalStack(settings) as running:
        yield running


@pytest.fixture
def start_owner() -> Iterator[StartOwner]:
    """Starts processes that each run a stack, and ends what the test leaves of them."""
    owners: list[subprocess.Popen[bytes]] = []

    def start(home: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", OWNER, str(home)]
        owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        owners.append(owner)
        assert owner.stdout
        assert owner.stdout.readline() == b"up\n"
        return owner

    yield start
    for owner in owners:
        owner.kill()
        owner.communicate()


def endpoints(settings: Settings) -> Endpoints:
    found = read_endpoints(settings)
    assert found
    return found


def create_topic(at: Endpoints, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": at.kafka})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)


def send(at: Endpoints, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": at.kafka})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def read(at: Endpoints, topic: str) -> bytes | None:
    consumer = Consumer(
        {"bootstrap.servers": at.kafka, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        return None if message is None else message.value()
    finally:
        consumer.close()


def register(at: Endpoints, name: str) -> int:
    text = json.dumps({"type": "record", "name": name, "fields": [{"name": "x", "type": "long"}]})
    client = SchemaRegistryClient({"url": at.registry})
    return int(client.register_schema(f"{name}-value", Schema(text, "AVRO")))


def name_of(at: Endpoints, schema_id: int) -> str:
    client = SchemaRegistryClient({"url": at.registry})
    return str(json.loads(client.get_schema(schema_id).schema_str or "")["name"])


def service_pid(settings: Settings, name: str) -> int:
    return int(json.loads((settings.run / f"{name}.json").read_text())["pid"])


def kill_service(settings: Settings, name: str) -> None:
    service = psutil.Process(service_pid(settings, name))
    service.kill()
    service.wait(10)


@pytest.mark.usefixtures("stack")
def test_what_is_sent_is_read_back(settings: Settings) -> None:
    create_topic(endpoints(settings), "sent")

    send(endpoints(settings), "sent", b"one trade")

    assert read(endpoints(settings), "sent") == b"one trade"


@pytest.mark.usefixtures("stack")
def test_a_misspelt_topic_is_not_created(settings: Settings) -> None:
    soon = {"topic.metadata.propagation.max.ms": 500}  # how long the client hopes for a new topic
    producer = Producer({"bootstrap.servers": endpoints(settings).kafka, **soon})
    errors: list[object] = []

    producer.produce("misspelt", b"x", on_delivery=lambda error, _: errors.append(error))
    producer.flush(30)

    assert "UNKNOWN_TOPIC" in str(errors[0])


def test_both_services_are_alive_and_ready(stack: LocalStack) -> None:
    assert stack.health() == {"registry": UP, "kafka": UP}


@pytest.mark.usefixtures("stack")
def test_both_listen_on_loopback_only(settings: Settings) -> None:
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for name in ("kafka", "registry")
        for connection in psutil.Process(service_pid(settings, name)).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


@pytest.mark.usefixtures("stack")
def test_a_second_run_on_the_home_is_refused_and_told_who_has_it(settings: Settings) -> None:
    with pytest.raises(InUseError, match=f"process {os.getpid()}"):
        LocalStack(settings).start()

    assert read_endpoints(settings)


@pytest.mark.usefixtures("stack")
def test_a_live_run_is_no_leftover(settings: Settings) -> None:
    with pytest.raises(InUseError, match="k2 down"):
        clean_orphans(settings)


def test_a_killed_registry_comes_back_with_the_same_schema_ids(
    stack: LocalStack, settings: Settings
) -> None:
    ids = {name: register(endpoints(settings), name) for name in ("First", "Second")}
    kill_service(settings, "registry")
    assert stack.health()["registry"] == Health(alive=False, ready=False)

    revived = stack.revive()

    assert revived == ["registry"]
    assert {name_of(endpoints(settings), i): i for i in ids.values()} == ids
    assert register(endpoints(settings), "Third") == max(ids.values()) + 1


def test_a_killed_kafka_comes_back_with_its_records_on_its_port(
    stack: LocalStack, settings: Settings
) -> None:
    before = endpoints(settings)
    create_topic(before, "survives")
    send(before, "survives", b"kept")
    kill_service(settings, "kafka")

    with capture_logs() as events:
        revived = stack.revive()

    assert revived == ["kafka"]
    assert read(before, "survives") == b"kept"
    (event,) = events
    assert (event["event"], event["service"]) == ("service_restarted", "kafka")
    assert read_restarts(settings)["kafka"].count == 1


def test_nothing_is_revived_while_all_is_well(stack: LocalStack) -> None:
    assert stack.revive() == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_its_run_and_the_next_run_has_everything(
    tmp_path: Path, start_owner: StartOwner, how: signal.Signals
) -> None:
    settings = Settings.load(home=tmp_path / "home")
    owner = start_owner(settings.home)
    schema_id = register(endpoints(settings), "Trade")
    create_topic(endpoints(settings), "trades")
    send(endpoints(settings), "trades", b"before")
    services = [psutil.Process(service_pid(settings, name)) for name in ("kafka", "registry")]

    owner.send_signal(how)
    owner.communicate(timeout=30)
    _, alive = psutil.wait_procs(services, timeout=10)

    assert alive == []
    assert read_endpoints(settings) is None
    with LocalStack(settings):
        assert name_of(endpoints(settings), schema_id) == "Trade"
        assert read(endpoints(settings), "trades") == b"before"
    assert sorted(os.listdir(settings.run)) == ["up.lock"]


def test_a_service_that_dies_while_starting_shows_the_end_of_its_log(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path / "home")
    broken = settings.home / "kafka" / "data" / "meta.properties"
    broken.parent.mkdir(parents=True)
    broken.write_text("version=7\n")

    with pytest.raises(FailedError, match=r"(?s)Kafka ended.*kafka\.log.*No readable meta"):
        LocalStack(settings).start()

    assert sorted(os.listdir(settings.run)) == ["up.lock"]


def test_a_topic_of_a_stopped_kafka_is_gone_with_it(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path / "home")
    with LocalStack(settings):
        address = endpoints(settings).kafka

    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=1)
