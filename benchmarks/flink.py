"""The Flink contender: one job of Flink SQL (``flink.sql``), from Kafka to Iceberg, nothing tuned.

Its topics must hold no record that does not decode (``k2 simulate --bad 0``): ``avro-confluent``
then ends the job. Otherwise it keeps K2's contract: Bronze, schemas by id, rules, duplicates of any
age (its state has no end), exactly-once by checkpoints. Dead letters lack the bytes, duplicates
have no table. A bounded job that is killed near its end is not exactly-once: the sink commits what
ended before a checkpoint has it.
"""

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from deltalake import convert_to_deltalake
from fastavro import reader
from rich.console import Console

from benchmarks.contenders import Figures, judged, new_folder, run_measured
from benchmarks.source import Source
from k2.jvm.jar_download import download
from k2.jvm.java import find_java
from k2.settings import Settings

_FLINK, _HADOOP = "1.20.0", "3.4.1"
_COORDINATES = [
    *(
        f"org.apache.flink:flink-{name}:{_FLINK}"
        for name in (
            "clients",
            "connector-base",
            "python",
            "sql-avro-confluent-registry",
            "sql-client",
            "sql-gateway",
            "table-planner-loader",
            "table-runtime",
        )
    ),
    "org.apache.flink:flink-connector-kafka:3.4.0-1.20",
    "org.apache.iceberg:iceberg-flink-runtime-1.20:1.9.2",
    f"org.apache.hadoop:hadoop-client-api:{_HADOOP}",
    f"org.apache.hadoop:hadoop-client-runtime:{_HADOOP}",
    "org.slf4j:slf4j-simple:1.7.36",
]
_OPENED = ("lang", "lang.reflect", "net", "io", "nio", "text", "time", "util", "util.concurrent")
_LOG = "-Dorg.slf4j.simpleLogger."

# The client runs the job in a cluster within its own process and waits until it has ended;
# otherwise that cluster is gone before the last commit.
_CONFIGURATION = """
execution:
  target: local
  runtime-mode: streaming
  checkpointing:
    interval: 10 s
    dir: file://{checkpoints}
parallelism:
  default: 2
restart-strategy:
  type: none
rest:
  port: 0
table:
  dml-sync: true
  local-time-zone: UTC
"""


def flink(source: Source) -> Figures:
    """Flink's SQL client with the job in its own process, once over topics without bad records."""
    settings = Settings.load()
    jars = _jars(settings.jar_cache)
    with new_folder() as folder:
        job = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
        job = job.replace("{lake}", f"file://{folder}/warehouse")
        job = job.replace("{kafka}", source.kafka).replace("{registry}", source.registry)
        (folder / "job.sql").write_text(job, encoding="utf-8")
        configuration = _CONFIGURATION.format(checkpoints=folder / "checkpoints")
        (folder / "config.yaml").write_text(configuration, encoding="utf-8")
        command = [str(find_java(settings.java_home).executable), "-Xmx2g"]
        command += [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED]
        command += [f"{_LOG}defaultLogLevel=warn", f"{_LOG}log.org.apache.flink.table.gateway=off"]
        command += ["-cp", f"{jars}/*", "org.apache.flink.table.client.SqlClient"]
        command += ["embedded", "-f", str(folder / "job.sql")]
        environment = {**os.environ, "FLINK_CONF_DIR": str(folder)}
        seconds, sampler = run_measured(command, folder, environment)
        _require_success(folder / "contender.log")
        for table in (folder / "warehouse" / "k2").iterdir():
            _as_delta(table, folder / "lake" / table.name)
        usage = sampler.usage()
        found = Figures(
            "flink", source.records, 0, seconds, usage.streams_cpu, usage.peak_memory, {}
        )  # fmt: skip
        return judged(found, folder / "lake", source)


def _require_success(log: Path) -> None:
    """Raise what made the job fail: the client ends with 0 all the same."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if any("[ERROR]" in line for line in lines):
        causes = dict.fromkeys(line for line in lines if line.startswith("Caused by"))
        raise RuntimeError(f"the job of Flink failed: {' '.join(causes)[:3000]}")


def _jars(cache: Path) -> Path:
    """Return the folder of the jars, fetched the first time."""
    folder = cache / f"flink-{sha256(' '.join(_COORDINATES).encode()).hexdigest()[:12]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".flink-") as staging:
            console = Console(stderr=True)
            repository, whole = Path(staging, "repository"), Path(staging, "jars")
            whole.mkdir()
            for jar in download("flink", _COORDINATES, set(), repository, console):
                jar.rename(whole / jar.name)
            whole.rename(folder)
    return folder


def _as_delta(table: Path, target: Path) -> None:
    """Make a Delta table of the files of an Iceberg table's snapshot, for the common gate."""
    if files := _files(table):
        target.mkdir(parents=True)
        for file in files:
            (target / file.name).hardlink_to(file)
        convert_to_deltalake(target)


def _files(table: Path) -> list[Path]:
    """Return the data files of the current snapshot; none of it was deleted from."""
    metadata = table / "metadata"
    version = (metadata / "version-hint.text").read_text()
    noted = json.loads((metadata / f"v{version}.metadata.json").read_text(encoding="utf-8"))
    newest = (s for s in noted["snapshots"] if s["snapshot-id"] == noted["current-snapshot-id"])
    lists = [_path(snapshot["manifest-list"]) for snapshot in newest]
    manifests = [_path(part["manifest_path"]) for path in lists for part in _records(path)]
    entries = [entry for path in manifests for entry in _records(path)]
    return [_path(entry["data_file"]["file_path"]) for entry in entries if entry["status"] != 2]


def _records(path: Path) -> list[Any]:
    with path.open("rb") as file:
        return list(reader(file))


def _path(address: str) -> Path:
    return Path(address.removeprefix("file:"))
