"""A real Kafka that lets nobody in without a login: SCRAM, PLAIN, OAuth or mTLS, of its own CA."""

import base64
import subprocess
import uuid
from collections.abc import Iterator, Mapping
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
from tests.support.token_endpoint import AUDIENCE, SECRET, TokenEndpoint

_DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "log-in.md"
USER, PASSWORD = "k2", "c4n4ry-s3cret"
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INSIDE
listener.security.protocol.map=SCRAM:SASL_SSL,PLAIN:SASL_SSL,OAUTH:SASL_SSL,MTLS:SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
sasl.oauthbearer.jwks.endpoint.url={issuer}/keys
sasl.oauthbearer.expected.issuer={issuer}
sasl.oauthbearer.expected.audience={audience}
ssl.keystore.type=PEM
ssl.keystore.location=broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=ca.crt
listener.name.mtls.ssl.client.auth=required
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


@dataclass(frozen=True)
class SecureKafka:
    """Where it listens, by what it asks for, whom it believes, and the folder of its certificates.

    There are ``ca.crt``, ``other.crt`` of another CA, and the client's ``client.crt`` and ``client.key``.
    """

    listeners: Mapping[str, str]
    tokens: TokenEndpoint
    folder: Path


@contextmanager
def secure_kafka(folder: Path, settings: Settings) -> Iterator[SecureKafka]:
    """Start it in ``folder``, and end it."""
    folder.mkdir()
    make_certificates(folder)
    listeners = {
        name: f"127.0.0.1:{free_port()}" for name in ("SCRAM", "PLAIN", "OAUTH", "MTLS", "INSIDE")
    }
    with TokenEndpoint(folder) as tokens:
        properties = _PROPERTIES.format(
            listeners=",".join(f"{name}://{address}" for name, address in listeners.items()),
            controller=free_port(),
            issuer=tokens.url,
            audience=AUDIENCE,
            user=USER,
            password=PASSWORD,
        )
        (folder / "server.properties").write_text(properties)
        with _broker(folder, settings, tokens.url):
            wait_until(lambda: _answers(listeners["INSIDE"]), 120, (folder / "kafka.log").read_text)
            yield SecureKafka(listeners, tokens, folder)


@contextmanager
def _broker(folder: Path, settings: Settings, issuer: str) -> Iterator[None]:
    java = str(find_java(settings.java_home).executable)
    jars = resolve(Group.KAFKA, settings.jar_cache)[0].parent
    # Kafka 4 asks only those addresses for keys that this names.
    allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer}/keys"
    command = [java, "-Xmx384m", "-XX:TieredStopAtLevel=1", allowed, "-cp", f"{jars}/*"]
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--add-scram", scram]
    subprocess.run([*command, *tool, "-c", "server.properties"], cwd=folder, check=True)
    with (folder / "kafka.log").open("wb") as log:
        broker = subprocess.Popen(
            [*command, "kafka.Kafka", "server.properties"], cwd=folder, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        broker.kill()
        broker.wait()


def login_settings(broker: SecureKafka, kind: str, folder: Path) -> dict[str, object]:
    """Return the settings of somebody who may log in as a listener asks; secrets are files in ``folder``."""
    given: dict[str, object] = {
        "kafka": broker.listeners[kind],
        "kafka_security": "SSL" if kind == "MTLS" else "SASL_SSL",
        "kafka_ca_file": broker.folder / "ca.crt",
    }
    if kind == "MTLS":
        return given | {
            "kafka_certificate_file": broker.folder / "client.crt",
            "kafka_key_file": broker.folder / "client.key",
        }
    if kind == "OAUTH":
        return given | oauth_files(folder, broker.tokens.url)
    secret = folder / "password"
    secret.write_text(f"{PASSWORD}\n")
    mechanism = "PLAIN" if kind == "PLAIN" else "SCRAM-SHA-512"
    given |= {"kafka_sasl_mechanism": mechanism, "kafka_username": USER}
    return given | {"kafka_password_file": secret}


def oauth_files(folder: Path, endpoint: str, secret: str = SECRET) -> dict[str, Path]:
    """Return settings that name files of properties: those of the document, with this secret."""
    block = next(text for text in _DOCUMENT.read_text().split("```") if "oauth" in text)
    block = block.replace("https://login.example.com", endpoint).replace("…", secret)
    java, librdkafka = block.split("# K2_KAFKA_LIBRDKAFKA_PROPERTIES")
    found = {}
    for name, text in (("java", java), ("librdkafka", librdkafka)):
        found[f"kafka_{name}_properties"] = folder / f"{name}.properties"
        found[f"kafka_{name}_properties"].write_text(text)
    return found


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
