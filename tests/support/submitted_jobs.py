"""The jobs as ``spark-submit`` runs them on a home."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.home import PATIENCE, K2Home

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
OPTIONS = (
    *("--conf", "spark.driver.host=127.0.0.1"),
    *("--conf", "spark.driver.memory=768m"),
    *("--conf", "spark.log.level=WARN"),
)


def submit_to_end(home: K2Home, jars: str, master: str, job: Sequence[str]) -> None:
    done = submit(home, jars, master, job)
    assert done.returncode == 0, f"{job}: {done.returncode}\n{done.stdout}\n{done.stderr}"


def submit(
    home: K2Home, jars: str, master: str, job: Sequence[str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        submit_command(jars, master, [*job, "--trigger", "available-now"]),
        env=environment(home),
        cwd=home.folder.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def start(
    home: K2Home, jars: str, master: str, job: Sequence[str], log: str = "job"
) -> "subprocess.Popen[bytes]":
    """Start a job; what it says is added to a file of the name ``log`` beside the home."""
    with (home.folder.parent / log).open("ab") as output:
        return subprocess.Popen(
            submit_command(jars, master, job),
            env=environment(home),
            cwd=home.folder.parent,
            stdout=output,
            stderr=output,
        )


def submit_command(jars: str, master: str, job: Sequence[str]) -> list[str]:
    layer, *arguments = job
    size = () if master.startswith("local") else CLUSTER_SIZE
    script = ROOT / "jobs" / f"{layer}.py"
    options = ["--master", master, "--jars", jars, *OPTIONS, *size]
    return [str(BIN / "spark-submit"), *options, str(script), *arguments]


# What compose gives a job (docker/submit).
CLUSTER_SIZE = ("--executor-memory", "512m", "--total-executor-cores", "1")


def environment(home: K2Home) -> dict[str, str]:
    return {
        **home.environment,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
