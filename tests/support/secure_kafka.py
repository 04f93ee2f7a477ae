"""A real Kafka that lets nobody in without a login: SASL_SSL with SCRAM, and mTLS, of its own CA."""

import base64
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from k2.home.ports import free_port
from k2.jvm.jars import Group, resolve
from k2.jvm.java import find_java
from k2.settings import Settings
from tests.support.home import wait_until

USER, PASSWORD = "k2", "c4n4ry-s3cret"
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{mtls},INSIDE://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{mtls},INSIDE://127.0.0.1:{inside}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INSIDE
listener.security.protocol.map=SASL_SSL:SASL_SSL,SSL:SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=ca.crt
listener.name.ssl.ssl.client.auth=required
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


@dataclass(frozen=True)
class SecureKafka:
    """Where it listens, and the folder of ``ca.crt``, ``other.crt``, ``client.crt`` and ``client.key``."""

    sasl: str
    mtls: str
    folder: Path


@contextmanager
def secure_kafka(folder: Path, settings: Settings) -> Iterator[SecureKafka]:
    """Start it in ``folder``, and end it."""
    folder.mkdir()
    make_certificates(folder)
    ports = {name: free_port() for name in ("sasl", "mtls", "inside", "controller")}
    (folder / "server.properties").write_text(_PROPERTIES.format(**ports))
    java = str(find_java(settings.java_home).executable)
    jars = resolve(Group.KAFKA, settings.jar_cache)[0].parent
    command = [java, "-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--add-scram", scram]
    subprocess.run([*command, *tool, "-c", "server.properties"], cwd=folder, check=True)
    log = (folder / "kafka.log").open("wb")
    broker = subprocess.Popen(
        [*command, "kafka.Kafka", "server.properties"], cwd=folder, stdout=log, stderr=log
    )
    try:
        inside = f"127.0.0.1:{ports['inside']}"
        wait_until(lambda: _answers(inside), 120, (folder / "kafka.log").read_text)
        yield SecureKafka(f"127.0.0.1:{ports['sasl']}", f"127.0.0.1:{ports['mtls']}", folder)
    finally:
        broker.kill()
        broker.wait()
        log.close()


def _answers(bootstrap: str) -> bool:
    try:
        return bool(
            AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=2)
        )
    except KafkaException:
        return False


def make_certificates(folder: Path) -> None:
    """Make a CA, another one, and what the first has signed for the broker and for a client."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        openssl(
            *(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                f"/CN={name}",
            ),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
        )
    (folder / "san.cnf").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("broker", "client"):
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "san.cnf", "-out", f"{name}.crt"),
        )
    pair = [(folder / f"broker.{part}").read_text() for part in ("key", "crt")]
    (folder / "broker.pem").write_text("\n".join(pair))
