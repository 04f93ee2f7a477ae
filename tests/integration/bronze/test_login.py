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
from tests.support.secure_kafka import login_settings, secure_kafka

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with secure_kafka(tmp_path_factory.mktemp("secure") / "kafka", Settings.load()) as broker:
        yield broker


def login(broker, kind, home, **changes):
    """The settings of somebody who may log in, but for ``changes``."""
    given = login_settings(broker, kind, home.parent)
    return Settings.load(**{"home": home, "registry": "http://127.0.0.1:9", **given, **changes})


@pytest.mark.parametrize("kind", ["SCRAM", "PLAIN", "OAUTH", "MTLS"])
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
    kafka = find_endpoints(login(broker, "SCRAM", tmp_path / "home", **changes)).kafka

    with pytest.raises(UnavailableError, match=why) as refused:
        watermarks(kafka, "any")

    assert "wrong" not in str(refused.value).replace("wrong version", "")
    assert len(str(refused.value).splitlines()) == 1
