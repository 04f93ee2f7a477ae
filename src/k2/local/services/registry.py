"""The real Apicurio registry; schemas keep their ids through restarts and kills."""

from dataclasses import dataclass
from pathlib import Path

from k2.home.ports import LOOPBACK
from k2.jvm.class_data_sharing import ClassArchive
from k2.local.services.service import answers
from k2.settings import Settings

# The in-memory variant's database, as a file in the folder where the registry runs. Every message
# carries a schema's id, so what was answered must be on disk: H2 would otherwise write half a
# second later.
_DATABASE = "jdbc:h2:file:./schemas;WRITE_DELAY=0;DB_CLOSE_DELAY=-1"
_INITIALISED = "initialised"


@dataclass(frozen=True)
class Registry:
    """Apicurio in ``K2_HOME/registry``, with the Confluent-compatible API."""

    settings: Settings
    java: Path
    jar: Path
    port: int
    classes: ClassArchive | None = None
    name: str = "registry"
    title: str = "the schema registry"

    @property
    def folder(self) -> Path:
        """``K2_HOME/registry``."""
        return self.settings.home / "registry"

    @property
    def marker(self) -> str:
        """Names the home, so that one home's registry is never taken for another's."""
        return f"-Dk2.registry={self.settings.home}"

    @property
    def url(self) -> str:
        """Address for clients of the Confluent registry: its compatible API."""
        return f"http://{LOOPBACK}:{self.port}/apis/ccompat/v7"

    def prepare(self) -> None:
        """Delete a database whose first start never finished; nobody has used it."""
        if not (self.folder / _INITIALISED).exists():
            for left in self.folder.glob("schemas.*"):
                left.unlink()

    def command(self) -> list[str]:
        """Return Java and its arguments."""
        return [
            str(self.java),
            f"-Xmx{self.settings.registry_memory}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # it starts often and serves little
            "-Xshare:auto",
            *(self.classes.options() if self.classes else []),
            self.marker,
            f"-Dquarkus.http.host={LOOPBACK}",
            f"-Dquarkus.http.port={self.port}",
            f"-Dquarkus.datasource.jdbc.url={_DATABASE}",
            "-Dquarkus.datasource.jdbc.initial-size=2",
            "-Dquarkus.datasource.jdbc.min-size=2",
            "-Dquarkus.datasource.jdbc.max-size=10",
            # After its own five seconds it interrupts a slow connection, and H2 then closes the file.
            "-Dquarkus.datasource.jdbc.acquisition-timeout=60S",
            '-Dquarkus.log.category."io.apicurio.common.apps.logging.audit".level=WARN',
            "-jar",
            str(self.jar),
        ]

    def ready(self) -> bool:
        """Tell whether the API that K2 uses answers."""
        if answers(f"{self.url}/subjects"):
            (self.folder / _INITIALISED).touch()
            return True
        return False
