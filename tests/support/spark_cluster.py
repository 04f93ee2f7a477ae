"""PySpark's own standalone master and workers on loopback."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from k2.home.ports import free_port
from tests.support.home import K2Home, wait_until
from tests.support.submitted_jobs import BIN, environment


@contextmanager
def cluster(home: K2Home, workers: int = 1, cores: int = 2, memory: str = "2g") -> Iterator[str]:
    """Run a master and workers of so many cores, which need not be there; gives the master's address."""
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--webui-port", "0"]
    work = home.folder.parent / "work"
    size = ["--cores", str(cores), "--memory", memory, "--work-dir", str(work)]
    with ExitStack() as started:
        arguments = [*options, "--port", str(port)]
        log = started.enter_context(_daemon(home, "master.Master", "master", arguments))
        for number in range(workers):
            arguments = [*options, *size, master]
            name = f"worker-{number}"
            worker_log = started.enter_context(_daemon(home, "worker.Worker", name, arguments))
            wait_until(
                lambda said=worker_log: "Successfully registered" in said.read_text(),
                why=log.read_text,
            )
        yield master


@contextmanager
def _daemon(home: K2Home, of_spark: str, name: str, arguments: Sequence[str]) -> Iterator[Path]:
    log = home.folder.parent / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / "spark-class", f"org.apache.spark.deploy.{of_spark}", *arguments],
            env=environment(home) | {"SPARK_DAEMON_MEMORY": "256m"},
            stdout=output,
            stderr=output,
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(60)
