"""Bronze, and all that asks Kafka beside it, against a broker that wants a login and has its own CA."""

from dataclasses import replace
from uuid import uuid4

import psutil
import pytest
from confluent_kafka import Producer

from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.bronze.topic_progress import unread_records
from k2.connectors.committed_reader import CommittedReader
from k2.connectors.kafka import client_settings, ensure_topics, watermarks
from k2.errors import UnavailableError
from k2.exchanges.kraken import KRAKEN
from k2.home.endpoints import find_endpoints
from k2.quality.balance import balance
from k2.settings import Settings
from tests.support.lake import Lake
from tests.support.secure_kafka import PASSWORD, USER, secure_kafka

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with secure_kafka(tmp_path_factory.mktemp("secure") / "kafka", Settings.load()) as broker:
        yield broker


def login(broker, kind, home, **changes):
    """The settings of somebody who may log in, but for ``changes``."""
    given = {
        "home": home,
        "registry": "http://127.0.0.1:9",
        "kafka": broker.sasl if kind == "SASL_SSL" else broker.mtls,
        "kafka_security": kind,
        "kafka_ca_file": broker.folder / "ca.crt",
    }
    if kind == "SASL_SSL":
        secret = home.parent / "password"
        secret.write_text(f"{PASSWORD}\n")
        given |= {"kafka_username": USER, "kafka_password_file": secret}
    else:
        given |= {
            "kafka_certificate_file": broker.folder / "client.crt",
            "kafka_key_file": broker.folder / "client.key",
        }
    return Settings.load(**(given | changes))


@pytest.mark.parametrize("kind", ["SASL_SSL", "SSL"])
def test_every_client_logs_in_and_no_secret_is_in_a_plan_or_a_process_list(
    spark, broker, tmp_path, kind
):
    settings = login(broker, kind, tmp_path / "home")
    kafka = find_endpoints(settings).kafka
    exchange = replace(KRAKEN, name=f"k{uuid4().hex[:12]}")
    assert ensure_topics(kafka, [exchange.topic], 1) == [exchange.topic]
    producer = Producer(client_settings(kafka))
    for value in (b"a", b"b"):
        producer.produce(exchange.topic, value)
    assert producer.flush(60) == 0
    lake = Lake(spark, settings)
    stream = bronze_stream(exchange, settings, lake.writer(), kafka)
    plan = stream.source(spark)._jdf.queryExecution().toString()

    lake.run(stream)

    assert [row["value"] for row in lake.rows(bronze_trades(exchange))] == [b"a", b"b"]
    assert unread_records(settings, exchange, kafka) == 0
    assert list(CommittedReader(kafka).committed_offsets(exchange.topic, 0, 0, 2)) == [0, 1]
    (account,) = balance(settings, [exchange], CommittedReader(kafka))
    assert (account.balanced, account.kafka) == (True, 2)
    commands = [" ".join(said.info["cmdline"] or ()) for said in psutil.process_iter(["cmdline"])]
    written = [str(path.read_bytes()) for path in tmp_path.rglob("offsets/*") if path.is_file()]
    assert not [
        text for text in (plan, *commands, *written) if "c4n4ry" in text and "add-scram" not in text
    ]
    for path in (settings.run / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0


WRONG = {
    "a wrong password": (
        {"kafka_password_file": None, "kafka_password": "wrong"},
        "authentication",
    ),
    "a CA that does not vouch": ({"kafka_ca_file": "other.crt"}, "certificate|SSL handshake"),
    "no encryption": ({"kafka_security": "SASL_PLAINTEXT"}, "Kafka at"),
}


@pytest.mark.parametrize("what", WRONG)
def test_who_is_not_let_in_is_told_why_in_a_sentence(broker, tmp_path, what):
    changes, why = WRONG[what]
    if changes.get("kafka_ca_file"):
        changes = {"kafka_ca_file": broker.folder / "other.crt"}
    kafka = find_endpoints(login(broker, "SASL_SSL", tmp_path / "home", **changes)).kafka

    with pytest.raises(UnavailableError, match=why) as refused:
        watermarks(kafka, "any")

    assert "wrong" not in str(refused.value).replace("wrong version", "")
    assert len(str(refused.value).splitlines()) == 1


def test_properties_of_ones_own_reach_both_clients(spark, broker, tmp_path):
    settings = login(broker, "SASL_SSL", tmp_path / "home")
    java, librdkafka = tmp_path / "java.properties", tmp_path / "librdkafka.properties"
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    java.write_text(
        "# as for OAuth: K2 passes on what it does not know\n"
        f"sasl.mechanism=SCRAM-SHA-512\n"
        f'sasl.jaas.config={module} required username="{USER}" password="{PASSWORD}";\n'
    )
    librdkafka.write_text(
        f"sasl.mechanism=SCRAM-SHA-512\nsasl.username={USER}\nsasl.password={PASSWORD}\n"
    )
    settings = Settings.load(
        **settings.model_dump(exclude={"kafka_username", "kafka_password_file", "kafka_password"})
        | {"kafka_java_properties": java, "kafka_librdkafka_properties": librdkafka}
    )
    kafka = find_endpoints(settings).kafka
    exchange = replace(KRAKEN, name=f"k{uuid4().hex[:12]}")
    ensure_topics(kafka, [exchange.topic], 1)
    producer = Producer(client_settings(kafka))
    producer.produce(exchange.topic, b"a")
    assert producer.flush(60) == 0
    lake = Lake(spark, settings)

    lake.run(bronze_stream(exchange, settings, lake.writer(), kafka))

    assert [row["value"] for row in lake.rows(bronze_trades(exchange))] == [b"a"]
