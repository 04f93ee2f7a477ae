"""The contenders: each takes the same preloaded topics to Silver or Gold in an empty folder, once."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks.home import Home
from benchmarks.processes import Sampler
from benchmarks.source import Source
from benchmarks.truth import require_truth
from benchmarks.varied import STANDARD, Variant
from k2.jvm.jars import Group, resolve
from k2.jvm.java import find_java
from k2.settings import Settings
from k2.storage.delta import ensure_table
from k2.storage.maintenance.compaction import compact, small_files
from k2.storage.maintenance.vacuum import files_of
from k2.topology import all_tables

_DELTA = (
    "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone=UTC",
)


@dataclass
class Figures:
    """One run that gave the right result. CPU is of the contender's processes, without services."""

    contender: str
    records: int
    trades: int
    seconds: float
    cpu: float
    peak_memory: int  # bytes, PSS summed over the process tree
    bytes_per_trade: dict[str, float]
    cpu_by_step: dict[str, float] = field(default_factory=dict)

    @property
    def cpu_per_million(self) -> float:
        """CPU-seconds per million records of Kafka."""
        return self.cpu / self.records * 1e6

    def public(self) -> dict[str, Any]:
        """Return the figures for a report."""
        return asdict(self) | {
            "cpu_per_million": round(self.cpu_per_million, 2),
            "records_per_second": round(self.records / self.seconds),
        }


Contender = Callable[[Source], Figures]


def stock(source: Source) -> Figures:
    """Five ``spark-submit`` processes one after the other, each until nothing is left.

    One after the other is kind to it: five at once would share two cores and need the memory of all.
    Its peak memory is that of the largest job.
    """
    settings = Settings.load()
    groups = (Group.SPARK, Group.AVRO)
    jars = ",".join(str(jar) for group in groups for jar in resolve(group, settings.jar_cache))
    java = find_java(settings.java_home).executable.parents[1]
    jobs = [
        ["bronze", "--exchange", "binance"],
        ["bronze", "--exchange", "kraken"],
        ["silver", "--exchange", "binance"],
        ["silver", "--exchange", "kraken"],
        ["gold"],
    ]
    with new_folder() as folder:
        found = Figures("stock", source.records, 0, 0.0, 0.0, 0, {})
        where = ["--lake", str(folder / "lake"), "--kafka", source.kafka]
        for job in jobs:
            submit = [str(Path(sys.executable).with_name("spark-submit")), "--jars", jars]
            submit += [word for option in _DELTA for word in ("--conf", option)]
            submit += [str(Path(__file__).with_name("stock.py")), *job, *where]
            submit += ["--registry", source.registry]
            environment = {**os.environ, "JAVA_HOME": str(java), "PYSPARK_PYTHON": sys.executable}
            seconds, sampler = run_measured(submit, folder, environment)
            usage = sampler.usage()
            found.seconds += seconds
            found.cpu += usage.streams_cpu
            found.cpu_by_step["-".join(job[::2])] = round(usage.streams_cpu, 2)
            found.peak_memory = max(found.peak_memory, usage.peak_memory)
        return judged(found, folder / "lake", source)


def lean(source: Source, silver_only: bool = False) -> Figures:
    """The loader without Spark (:mod:`benchmarks.lean`), into tables of K2's definitions."""
    with new_folder() as folder:
        for table in all_tables():
            ensure_table(folder / "lake", table)
        command = [sys.executable, "-m", "benchmarks.lean", "--lake", str(folder / "lake")]
        command += ["--kafka", source.kafka, "--registry", source.registry]
        command += ["--silver-only"] if silver_only else []
        seconds, sampler = run_measured(command, folder, dict(os.environ))
        usage = sampler.usage()
        name = "lean-silver" if silver_only else "lean"
        found = Figures(
            name, source.records, 0, seconds, usage.streams_cpu, usage.peak_memory, {}
        )  # fmt: skip
        return judged(found, folder / "lake", source, gold=not silver_only)


def k2(source: Source, variant: Variant = STANDARD, name: str = "k2") -> Figures:
    """``k2 drain``: all streams in one driver; what bars take after Gold's last commit is apart."""
    with new_folder() as folder:
        home = Home(folder, variant, **source.lend(folder))
        began = time.time()
        drain = home.spawn("drain", "--timeout", "1800s")
        with Sampler(drain.pid, from_its_start=True) as sampler:
            code = drain.wait()
        if code:
            raise RuntimeError(f"k2 drain ended with {code}; see {folder / 'logs'}")
        total = sampler.usage()
        marks = _marks(folder)
        steps, before = {}, 0.0
        for step, moment in marks.items():
            cpu = sampler.cpu_at(moment)
            steps[step], before = round(cpu - before, 2), cpu
        bars = steps["bars"]
        steps["end"] = round(total.streams_cpu - before, 2)
        seconds = marks["gold"] - began
        found = Figures(
            name, source.records, 0, seconds, total.streams_cpu - bars, total.peak_memory, {}, steps
        )
        # Only tables of today's definition can be compacted here.
        return judged(found, folder / "lake", source, is_packed=not variant.revision)


def _marks(folder: Path) -> dict[str, float]:
    """When each step of a drain ended, in order."""

    def newest(pattern: str) -> float:
        return max(path.stat().st_mtime for path in folder.glob(pattern))

    log = "_delta_log/*[0-9].json"
    return {
        "start": min(p.stat().st_mtime for p in folder.glob("checkpoints/bronze-*/v*/offsets/0")),
        "bronze": newest(f"lake/bronze_*_trades/{log}"),
        "silver": newest(f"lake/silver_*_trades/{log}"),
        "gold": newest(f"lake/gold_trades/{log}"),
        "bars": newest(f"lake/gold_ohlcv/{log}"),
    }


def judged(
    found: Figures, lake: Path, source: Source, gold: bool = True, is_packed: bool = False
) -> Figures:
    """Hold a run's tables to the manifest, and add its trades and their bytes, compacted too if ``is_packed``."""
    found.trades = require_truth(lake, source.manifest, gold)
    layers = {"silver": ["silver_binance_trades", "silver_kraken_trades"]}
    if gold:
        layers["gold"] = ["gold_trades"]
    for layer, names in layers.items():
        tables = [DeltaTable(lake / name) for name in names]
        size = sum(files_of(table).bytes for table in tables)
        found.bytes_per_trade[layer] = round(size / found.trades, 1)
        if is_packed:
            packed = sum(map(_packed, names, tables))
            found.bytes_per_trade[f"{layer}, compacted"] = round(packed / found.trades, 1)
    return found


def _packed(name: str, table: DeltaTable) -> int:
    definition = next(definition for definition in all_tables() if definition.name == name)
    for partition in sorted({file.partition for file in small_files(table)}):
        compact(table, definition, partition)
    return files_of(table).bytes


def run_measured(
    command: Iterable[str], folder: Path, environment: dict[str, str]
) -> tuple[float, Sampler]:
    """Run a contender to its end; return its seconds and what watched it."""
    with (folder / "contender.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            list(command), env=environment, stdout=log, stderr=log, cwd=Path(__file__).parents[1]
        )
        with Sampler(process.pid, from_its_start=True) as sampler:
            code = process.wait()
        seconds = time.monotonic() - began
    if code:
        tail = (folder / "contender.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"a contender ended with {code}: {tail}")
    return seconds, sampler


@contextmanager
def new_folder() -> Iterator[Path]:
    """A run's folder, gone after it."""
    folder = Path(tempfile.mkdtemp(prefix="k2-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
