"""A job's process ends in time, whatever of its JVM and its output is gone."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.home import wait_until

pytestmark = [pytest.mark.unit, pytest.mark.timeout(60)]

END_SECONDS = 5.0
STARTING = 0.5  # orderly seconds of these jobs, so that a test does not wait for four

# Stands for Spark's JVM: starts the job, and alone can read what it prints. Below `nohup`, SIGHUP would end neither.
JVM = """\
import os, signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
job = subprocess.Popen([sys.argv[1], "-c", sys.argv[2]], stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT, env=os.environ | {"PYSPARK_GATEWAY_PORT": "1"})
while job.stdout.readline() != b"runs\\n":
    pass
print(job.pid, flush=True)
sys.exit(job.wait())
"""
# Waits for a JVM as the job's own threads may: in the main thread, and where Python itself ends.
JOB = f"""\
import sys, threading, time
from k2.jvm.process_end import ProcessEnd
end = ProcessEnd({STARTING})
end.watch()
{{body}}
"""
HANGS = """\
from k2.jvm.session_lifetime import raised_interrupts
def print_for_ever():
    while True:
        print("more " * 10_000, file=sys.stderr, flush=True)
with raised_interrupts():
    print("runs", flush=True)
    threading.Thread(target=print_for_ever).start()
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass
"""
LEAVES_A_THREAD = """\
threading.Thread(target=time.sleep, args=(1000,)).start()
print("runs", flush=True)
end.expect()
"""


class Jobs:
    """Starts jobs below a process that is named as Java's is."""

    def __init__(self, folder: Path) -> None:
        self.java = folder / "java"
        self.java.symlink_to(sys.executable)
        self.jvms: list[subprocess.Popen[bytes]] = []
        self.started: list[psutil.Process] = []

    def start(self, body: str) -> tuple[psutil.Process, psutil.Process]:
        job = JOB.format(body=textwrap.dedent(body))
        # By its own name, or the process would be called as the interpreter is.
        jvm = subprocess.Popen(
            [self.java, "-c", JVM, sys.executable, job],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert jvm.stdout is not None
        self.jvms.append(jvm)
        self.started += [psutil.Process(jvm.pid), psutil.Process(int(jvm.stdout.readline()))]
        return self.started[-2], self.started[-1]

    def end(self) -> None:
        for process in self.started:
            if process.is_running():
                process.kill()
        for jvm in self.jvms:
            jvm.communicate()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path)
    yield jobs
    jobs.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_job_whose_jvm_is_killed_ends_though_nobody_reads_what_it_prints(
    jobs: Jobs, number: signal.Signals
) -> None:
    jvm, job = jobs.start(HANGS)

    jvm.send_signal(number)

    require_end(job)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_job_that_cannot_end_in_order_ends_all_the_same_and_its_jvm_with_it(
    jobs: Jobs, number: signal.Signals
) -> None:
    jvm, job = jobs.start(HANGS)

    job.send_signal(number)

    require_end(job)
    require_end(jvm)


def test_a_job_that_is_over_does_not_wait_for_threads_for_ever(jobs: Jobs) -> None:
    _, job = jobs.start(LEAVES_A_THREAD)

    require_end(job)


def require_end(process: psutil.Process) -> None:
    began = time.monotonic()
    wait_until(lambda: has_ended(process), END_SECONDS)
    assert time.monotonic() - began < END_SECONDS


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
