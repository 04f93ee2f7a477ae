"""What ``jobs/*.py`` call: one stream as a process of its own, for ``spark-submit``."""

import importlib
from collections.abc import Sequence

from k2.environment import inherited, shield
from k2.jvm.process_end import ProcessEnd
from k2.malloc import limit_retention


def main(job: str, arguments: Sequence[str]) -> int:
    """Run a job (``bronze``, ``silver``, ``gold``, ``ohlcv``) with its arguments; return the exit code."""
    end = ProcessEnd()
    end.watch()  # before the next lines, which take seconds
    shield(inherited())
    limit_retention()  # before Arrow, which looks when it is imported
    code: int = importlib.import_module("k2.cli.spark_submit.stream").run_job(job, arguments)
    end.expect()  # also where a thread waits for a JVM that does not answer any more
    return code
