"""Child processes that never outlive their run, and their records for when the run was killed."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from k2.environment import inherited
from k2.home.atomic_files import replace_whole
from k2.home.process_life import is_alive

# Linux tells a child when the *thread* that started it ends, so one thread that lives as long as
# the process starts them all.
_starter = ThreadPoolExecutor(1, thread_name_prefix="k2-starter")

_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")

# Runs between fork and the real program. A preexec_fn would do the same, but may hang in a process
# with threads. The parent may be gone before prctl is called: then no signal comes, so look.
_BOUND_TO_PARENT = (
    "import ctypes,os,sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"  # PR_SET_PDEATHSIG, SIGKILL
    "os.getppid() == int(sys.argv[1]) or sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


@dataclass(frozen=True)
class ProcessRecord:
    """Identifies a process: its id alone may belong to another process by now.

    ``started`` distinguishes it from any later process with the same id, whatever happens to the clock.
    """

    pid: int
    started: str
    marker: str

    @classmethod
    def of(cls, pid: int, marker: str) -> "ProcessRecord":
        """Describe a live process."""
        return cls(pid, read_start(psutil.Process(pid)), marker)

    @classmethod
    def load(cls, path: Path) -> "ProcessRecord | None":
        """Read a record; None when there is none or it is not readable."""
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(noted["pid"]), str(noted["started"]), str(noted["marker"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        replace_whole(path, json.dumps(asdict(self)).encode())

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the machine has not been restarted since the process was started."""
        return self.started.partition(":")[0] == read_boot()

    def process(self) -> psutil.Process | None:
        """Return the process while it lives and is the recorded one.

        It is when it started at the recorded time and has the marker among its arguments (an empty
        marker is not looked for).
        """
        try:
            process = psutil.Process(self.pid)
            same = (
                is_alive(process)
                and read_start(process) == self.started
                and (not self.marker or self.marker in process.cmdline())
            )
        except psutil.Error:
            return None
        return process if same else None


def read_boot() -> str:
    """Return what identifies the machine's last boot."""
    if sys.platform != "linux":
        return str(psutil.boot_time())
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def read_start(process: psutil.Process) -> str:
    """Return when a process started, in a form that does not change while it lives.

    On Linux that is the boot and the clock ticks since: the time of day is computed from the present clock and
    changes when somebody sets it. Elsewhere the kernel records it.

    Raises:
        psutil.NoSuchProcess: there is no such process.
    """
    if sys.platform != "linux":
        return f"{read_boot()}:{process.create_time()}"
    try:
        boot = read_boot()
        fields = Path(f"/proc/{process.pid}/stat").read_bytes()
    except OSError as error:
        raise psutil.NoSuchProcess(process.pid) from error
    # The program's name, the second field, may have spaces and parentheses; field 22 is the start.
    ticks = int(fields.rpartition(b")")[2].split()[19])
    return f"{boot}:{ticks}"


class ChildProcess:
    """One running child."""

    def __init__(self, child: "subprocess.Popen[bytes]", record: ProcessRecord) -> None:
        self._child = child
        self.record = record

    @classmethod
    def start(cls, command: list[str], *, folder: Path, log: Path, marker: str) -> "ChildProcess":
        """Start a program with an environment of its own and its output in a log.

        It runs in a process group of its own, so that Ctrl-C reaches the parent only, which stops
        its children in order.

        Args:
            command: absolute path of the program, then its arguments, the marker among them.
            folder: where it runs.
            log: appended to; the log of the start before is kept as ``<log>.1``.
            marker: the argument that tells it from any other program.
        """
        with contextlib.suppress(FileNotFoundError):
            log.replace(log.with_name(f"{log.name}.1"))
        return _starter.submit(_start, command, folder, log, marker).result()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code; negative for the signal that ended it; None while it runs."""
        return self._child.poll()

    def terminate(self) -> None:
        """Ask it to end."""
        self._child.terminate()

    def stop(self, patience_seconds: float) -> None:
        """Ask it to end, wait, and kill it when it has not; also when the wait is interrupted."""
        try:
            self._child.terminate()
            self._child.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, when it still runs."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()


def stop_recorded(record: ProcessRecord, patience_seconds: float) -> bool:
    """End a process that a killed run left; False when it is gone or the id belongs to another process.

    Raises:
        psutil.AccessDenied: it belongs to another user.
        psutil.TimeoutExpired: it does not even end when killed.
    """
    process = record.process()
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(patience_seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(patience_seconds)
    return True


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a service inherits, without variables that the user set for other programs.

    The paths of libraries are kept: without them some Pythons and Javas do not start.
    """
    libraries = {name: environment[name] for name in _LIBRARY_PATHS if name in environment}
    return {"LANG": "C.UTF-8", **libraries}


def _start(command: list[str], folder: Path, log: Path, marker: str) -> ChildProcess:
    if sys.platform == "linux":
        python = [sys.executable, "-I", "-S", "-c", _BOUND_TO_PARENT, str(os.getpid())]
        command = [*python, *command]
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env=child_environment(inherited()),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        return ChildProcess(child, ProcessRecord.of(child.pid, marker))
    except BaseException:
        child.kill()
        child.wait()
        raise
