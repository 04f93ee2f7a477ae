"""One real Kafka node, broker and controller in one process, from its jars."""

import base64
import socket
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from k2.environment import inherited
from k2.errors import FailedError
from k2.home.atomic_files import replace_whole
from k2.home.ports import LOOPBACK
from k2.jvm.class_data_sharing import ClassArchive
from k2.jvm.native_libraries import native_library_options
from k2.local.process import child_environment
from k2.settings import Settings

# The first compiler only: it starts in half the CPU, and half a million records cost the broker 1.3
# CPU-seconds instead of 2.9 in its first minute.
_QUICK_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
)
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
# A misspelt topic is an error, and what is sent is kept until it takes too much room: by its age a
# replay of old trades would be deleted at once.
log.retention.ms=-1
log.retention.bytes=2147483648
log.segment.bytes=134217728
log.index.size.max.bytes=1048576
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# Small: two cores and little memory serve everything.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
message.max.bytes=8388608
# After a kill the broker may come back before its old session has ended; it waits that long.
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
"""


@dataclass(frozen=True)
class Agent:
    """The JMX exporter, which serves the broker's own metrics on a loopback port."""

    jar: Path
    port: int
    config: Path

    @property
    def option(self) -> str:
        """The option of Java that loads it."""
        return f"-javaagent:{self.jar}={LOOPBACK}:{self.port}:{self.config}"


@dataclass(frozen=True)
class Kafka:
    """Kafka in ``K2_HOME/kafka``; topics and records outlive a restart and a kill."""

    settings: Settings
    java: Path
    jars: Path
    port: int
    controller_port: int
    agent: Agent | None = None
    classes: ClassArchive | None = None
    name: str = "kafka"
    title: str = "Kafka"

    @property
    def folder(self) -> Path:
        """``K2_HOME/kafka``."""
        return self.settings.home / "kafka"

    @property
    def marker(self) -> str:
        """Names the home, so that one home's Kafka is never taken for another's."""
        return f"-Dk2.kafka={self.settings.home}"

    def prepare(self) -> None:
        """Write the configuration; format the storage the first time.

        Raises:
            FailedError: Kafka's own tool cannot format it.
        """
        properties = _PROPERTIES.format(
            host=LOOPBACK, port=self.port, controller_port=self.controller_port
        )
        replace_whole(self.folder / "server.properties", properties.encode())
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        """Return Java and its arguments."""
        return [
            str(self.java),
            f"-Xmx{self.settings.kafka_memory}",
            *_QUICK_JVM,
            *self._class_options(),
            *native_library_options(self.settings),
            self.marker,
            *([self.agent.option] if self.agent else []),
            # slf4j-simple writes to stderr, which is the log.
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka=info",
            "-cp",
            f"{self.jars}/*",
            "kafka.Kafka",
            "server.properties",
        ]

    def ready(self) -> bool:
        """Tell whether the broker answers a request for metadata with itself."""
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), 0.5):
            return self._answers()
        return False

    def _class_options(self) -> list[str]:
        """With an agent Java cannot write a class archive and would end at once; it can map one."""
        return self.classes.options(make=self.agent is None) if self.classes else []

    def _answers(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        options: dict[str, str | int | float | bool] = {
            "bootstrap.servers": f"{LOOPBACK}:{self.port}",
            "log_level": 0,
        }
        try:
            brokers = AdminClient(options).list_topics(timeout=1.0).brokers
        except KafkaException:
            return False
        return any(broker.port == self.port for broker in brokers.values())

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One argument: one id in 64 begins with a dash, which by itself reads as another option.
        cluster_id = f"--cluster-id={cluster}"
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", cluster_id]
        done = subprocess.run(  # noqa: S603
            [self.java, *_QUICK_JVM, "-cp", f"{self.jars}/*", *tool, "-c", "server.properties"],
            cwd=self.folder,
            env=child_environment(inherited()),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise FailedError(
                f"Kafka cannot set up {self.folder / 'data'}: {done.stderr.strip()[-2000:]}"
            )
