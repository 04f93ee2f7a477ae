"""All settings of K2, read once at the edge of the program and passed down from there."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from k2.config_file import VARIABLE as CONFIG_VARIABLE
from k2.config_file import config_source, find_config_file, wrong_values
from k2.errors import ConfigError
from k2.job_settings import JobSettings, Port
from k2.login_settings import LoginSettings

# delta-rs (1.6.6) takes a table's folder for an address: it fails at brackets, takes a backslash for a
# slash, and in parts of it %20 for a space. No line of a log or file ends well in the middle of a name.
_NOT_IN_PATHS = re.compile(r"[\[\]\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")


class Settings(JobSettings, LoginSettings):
    """What can be set: by command-line options, ``K2_*`` environment variables or ``k2.toml``.

    Build it with :meth:`load`, which turns a wrong value into a :class:`ConfigError` of one sentence.
    """

    model_config = SettingsConfigDict(env_prefix="K2_", frozen=True, extra="ignore")

    home: Path = Field(Path(".k2"), description="Folder that holds tables, checkpoints and logs.")

    jar_cache: Path = Field(
        default_factory=lambda: Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "k2",
        description="Folder of downloaded jars, shared by all homes.",
    )
    java_home: Path | None = Field(
        None,
        validation_alias=AliasChoices("K2_JAVA_HOME", "JAVA_HOME", "java_home"),
        description="Folder of the Java to use (or JAVA_HOME); empty: the one on PATH.",
    )
    class_archives: bool = Field(
        True,
        description="Store Java's class data sharing archives in the jar cache, for faster starts; the"
        " first run that ends writes them, which takes some seconds.",
    )
    offline: bool = Field(False, description="Never download jars from a package repository.")

    kafka: str = Field("", description="Bootstrap servers; empty: the local stack of `k2 up`.")
    registry: str = Field("", description="URL of the schema registry; empty: the local stack's.")
    kafka_port: Port = Field(0, description="Port of the local Kafka; 0 takes a free one.")
    registry_port: Port = Field(0, description="Port of the local registry; 0 takes a free one.")
    topic_partitions: int = Field(2, ge=1, description="Partitions of a topic that K2 creates.")

    feed_spool_bytes: int = Field(
        2_000_000_000,
        ge=1_000_000,
        description="Size limit of a live feed's spool, which keeps records on disk while Kafka accepts"
        " none; beyond it the oldest records are dropped and recorded as a gap.",
    )
    feed_spool_hours: float = Field(
        24.0, gt=0, description="Age limit of records in a live feed's spool."
    )
    feed_quiet_seconds: float = Field(
        60.0,
        ge=0,
        description="Seconds without a trade after which a feed asks for a market's newest; 0: never.",
    )
    feed_metrics_port: Port = Field(8030, description="Metrics port of the live feed.")
    quality_thresholds: dict[str, float] = Field(
        default_factory=dict,
        description="Thresholds of quality checks that replace the default ones, as JSON:"
        ' {"dead-letters.share": 0.01}.',
    )
    quality_periods: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Seconds between two runs of a quality check, replacing its default, as JSON:"
        ' {"freshness": 60}; 0: it only runs when asked for.',
    )
    quality_schedule: bool = Field(
        True,
        description="Let the jobs' service run quality checks when they are due; switch it off where"
        " another scheduler does.",
    )

    trigger_seconds: float = Field(1.0, gt=0, description="Seconds between micro-batches.")
    max_records_per_batch: int = Field(
        120_000, ge=1, description="Limit of Kafka records in a Bronze batch (back-pressure)."
    )
    max_kafka_bytes_per_batch: int = Field(
        64_000_000,
        ge=1,
        description="Approximate limit of bytes of Kafka records in a Bronze batch (back-pressure).",
    )
    max_files_per_batch: int = Field(
        8, ge=1, description="Limit of upstream files in a Silver or Gold batch (back-pressure)."
    )
    max_bytes_per_batch: int = Field(
        8_000_000,
        ge=1,
        description="Bytes of upstream files from which on a Silver or Gold batch reads no further file"
        " (back-pressure). A row has about 35 bytes in a file and 500 in memory.",
    )
    kept_versions: int = Field(
        2_000,
        ge=1,
        description="How many recent versions stay in a table's log (single-machine writer). Versions that"
        " a stream has not read are always kept. Each 1,000 adds about 2 ms to a commit.",
    )
    history_minutes: int = Field(
        60,
        ge=1,
        description="How long a table version stays readable at least: for this time the log keeps it, and"
        " with it the files that later versions replaced. A query that takes longer may miss"
        " files.",
    )
    lateness_minutes: int = Field(
        5,
        ge=1,
        description="Watermark delay. A trade that reaches the broker later than this after it happened is"
        " marked late.",
    )
    table_writer: Literal["auto", "spark", "arrow"] = Field(
        "auto",
        description="How batches are written to Delta: with Spark's own writer, or with Arrow and delta-rs"
        " on the driver; auto: arrow where Spark runs in one process, spark on a cluster.",
    )
    chain_streams: bool = Field(
        True,
        # K2_FUSED is the name that it had.
        validation_alias=AliasChoices("K2_CHAIN_STREAMS", "K2_FUSED", "chain_streams"),
        description="Forward each Bronze batch to Silver and Gold in memory, where one process runs all"
        " streams with the arrow writer; off: each stream reads its upstream table.",
    )
    spark_master: str = Field("local[2]", description="Spark master, unless spark-submit sets it.")
    driver_memory: str = Field(
        "768m", pattern=r"^\d+[mg]$", description="Heap of the Spark driver."
    )
    kafka_memory: str = Field("384m", pattern=r"^\d+[mg]$", description="Heap of the local Kafka.")
    registry_memory: str = Field(
        "160m", pattern=r"^\d+[mg]$", description="Heap of the local registry."
    )

    bind_host: str = Field("127.0.0.1", description="Address that metrics and the UI listen on.")
    ui_port: Port = Field(4040, description="Port of the Spark UI.")
    metrics_port: Port = Field(8000, description="Metrics port of the first stream.")
    prometheus_port: Port = Field(
        9090, description="Port of Prometheus in `k2 up --monitoring`; 0 takes a free one."
    )
    alertmanager_port: Port = Field(
        9093, description="Port of Alertmanager in `k2 up --monitoring`; 0 takes a free one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, JSON lines elsewhere."
    )

    @field_validator("home", "jar_cache")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        try:
            return folder.expanduser().absolute()
        except RuntimeError as error:
            raise ValueError("nobody knows the home folder of this user; set HOME") from error

    @field_validator("home")
    @classmethod
    def _can_be_opened(cls, folder: Path) -> Path:
        """Refuse names that a library below cannot open, before it says so in its own way."""
        if odd := _NOT_IN_PATHS.search(str(folder)):
            raise ValueError(
                f"{odd[0]!r} may not be in its name, which Delta's library could not open"
            )
        try:
            os.fsencode(folder).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError("its name is not in UTF-8") from error
        if not str(folder).isascii() and sys.getfilesystemencoding() != "utf-8":
            raise ValueError(
                f"Python takes file names for {sys.getfilesystemencoding()}; set PYTHONUTF8=1"
            )
        return folder

    @property
    def java_variable(self) -> str:
        """The variable that ``java_home`` is from."""
        given = next(filter(os.environ.get, ("K2_JAVA_HOME", "JAVA_HOME")), None)
        return given or "java_home of k2.toml"

    @property
    def lake(self) -> Path:
        """Folder of the Delta tables, one sub-folder a table."""
        return self.home / "lake"

    @property
    def checkpoints(self) -> Path:
        """Folder of the streams' checkpoints: ``<stream>/v<version>``."""
        return self.home / "checkpoints"

    def checkpoint(self, app: str) -> Path:
        """Folder of one stream's checkpoint, ``app`` being its name and version."""
        return self.checkpoints.joinpath(*app.split("/"))

    @property
    def logs(self) -> Path:
        """Folder of all logs."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Folder of pids, locks, endpoints and the live status."""
        return self.home / "run"

    def environment(self) -> dict[str, str]:
        """Return the environment for a child that runs K2 on the same home with the same file."""
        file = find_config_file()
        config = {CONFIG_VARIABLE: str(file.absolute())} if file else {}
        return {**os.environ, "K2_HOME": str(self.home), **config}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take a command's option before a variable, and that before ``k2.toml``; called by Pydantic."""
        return init_settings, env_settings, config_source(settings_cls)

    @classmethod
    def load(cls, **overrides: Any) -> "Settings":
        """Read the settings; ``None`` among the overrides means "not given".

        Raises:
            ConfigError: a value cannot be used; the message names the setting, the value and why.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            raise ConfigError(wrong_values(error, cls, given)[0]) from error
        except SettingsError as error:  # a value that should be JSON
            raise ConfigError(f"A variable is not JSON, {error.__cause__}: {error}.") from error
