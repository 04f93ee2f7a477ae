"""Spark's own standalone master and workers on loopback, and jobs submitted to them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.home import Home
from benchmarks.processes import wait_for
from k2.home.ports import free_port

_BIN = Path(sys.executable).parent
_JOBS = Path(__file__).parents[1] / "jobs"
_ENVIRONMENT = {
    "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
    "SPARK_LOCAL_IP": "127.0.0.1",
    "SPARK_DAEMON_MEMORY": "256m",
    "PYSPARK_PYTHON": sys.executable,
    "PYSPARK_DRIVER_PYTHON": sys.executable,
}
_DEPLOY = "org.apache.spark.deploy"


@contextmanager
def cluster(folder: Path, workers: int, cores: int) -> Iterator[str]:
    """Start a master and ``workers`` of ``cores`` each; give the master's address."""
    master = f"spark://127.0.0.1:{free_port()}"
    port = master.rpartition(":")[2]
    here = ("--host", "127.0.0.1", "--webui-port", "0")
    with ExitStack() as running:
        running.enter_context(
            _daemon(folder / "master.log", "master.Master", *here, "--port", port)
        )
        for number in range(workers):
            log = folder / f"worker-{number}.log"
            size = ("--cores", str(cores), "--memory", "1g", "--work-dir", str(folder / "work"))
            running.enter_context(_daemon(log, "worker.Worker", *here, *size, master))
            wait_for(lambda log=log: "Successfully registered" in log.read_text(), 60, log.name)
        yield master


def submit(home: Home, master: str, jars: str, job: Sequence[str], events: Path) -> None:
    """Run a job until nothing is left, one core an executor, and keep its event log.

    Raises:
        RuntimeError: it failed; says with what.
    """
    layer, *arguments = job
    events.mkdir(parents=True, exist_ok=True)
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "768m",
        "spark.executor.cores": "1",
        "spark.executor.memory": "768m",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    command = [str(_BIN / "spark-submit"), "--master", master, "--jars", jars, *options]
    done = subprocess.run(
        [*command, str(_JOBS / f"{layer}.py"), *arguments, "--trigger", "available-now"],
        env={**home.environment, **_ENVIRONMENT},
        cwd=home.folder,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(job)}: {done.stderr.strip()[-2000:]}")


@contextmanager
def _daemon(log: Path, name: str, *arguments: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(_BIN / "spark-class"), f"{_DEPLOY}.{name}", *arguments],
            env={**os.environ, **_ENVIRONMENT},
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)
