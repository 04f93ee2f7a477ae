"""A PostgreSQL of a test's own, from Debian's package, on a free loopback port."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from k2.home.ports import free_port

_DEBIAN = Path("/usr/lib/postgresql")


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres; None where they are not installed."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Postgres:
    """A server: its address, and what a test does to it."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs, self.folder, self._port = programs, folder, port
        self._databases = 0

    def new_database(self) -> str:
        """Make an empty database; return its address."""
        self._databases += 1
        name = f"k2_{self._databases}"
        self.run(*("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", name))
        return f"postgresql://postgres@127.0.0.1:{self._port}/{name}"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs; as nobody of importance where we are root, which it refuses."""
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            done = subprocess.run(
                command,
                user=user.pw_uid,
                group=user.pw_gid,
                capture_output=True,
                text=True,
                cwd="/",
                check=False,
            )
        else:
            done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c fsync=off -k ''"
        log = str(self.folder / "log")
        # Its output goes to the log: else whoever waits for ours would wait for the server's.
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server until the block ends."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")
    # Another user's where we are root, who may not look into our temporary folder.
    folder = Path(tempfile.mkdtemp(prefix="k2-postgres-"))
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    server = Postgres(programs, folder, free_port())
    try:
        server.run(
            "initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync"
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
