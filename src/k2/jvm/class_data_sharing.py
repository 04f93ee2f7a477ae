"""Java's class data sharing (JEP 350): keep loaded classes from one start to the next, which saves half of a start.

A program that ends writes the classes that it had loaded to an archive, and the next start maps it. The JVM
checks that Java and jars are the same, and ignores the archive otherwise.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_KEPT = 2  # archives of a program: two environments may take turns
_ABANDONED_SECONDS = 86_400.0  # after which nobody writes a draft any more, on whatever machine
# The JVM would tell the terminal which classes an archive cannot have.
_QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")


@dataclass(frozen=True)
class ClassArchive:
    """The archive of one program, for one Java and one set of jars; made by the first run that ends."""

    path: Path

    @classmethod
    def of(cls, program: str, java: Path, jars: Iterable[Path], cache: Path) -> "ClassArchive":
        """Return the archive's place under ``cache``; ``java`` is the executable."""
        modules = java.resolve().parents[1] / "lib" / "modules"
        files = [modules if modules.exists() else java, *sorted(jars)]
        key = hashlib.sha256()
        for file in files:
            state = file.stat()
            key.update(f"{file} {state.st_size} {state.st_mtime_ns}\n".encode())
        return cls(cache / "classes" / f"{program}-{key.hexdigest()[:16]}.jsa")

    @property
    def exists(self) -> bool:
        """Whether the archive is there, so that the next run starts from it; otherwise the next run writes it."""
        return self.path.exists()

    @property
    def draft(self) -> Path:
        """The file that this process's run writes when it ends."""
        return self.path.with_suffix(f".{os.getpid()}.draft")

    def options(self, make: bool = True) -> list[str]:
        """Return Java's options: to start from the archive, or else to ``make`` it at the end."""
        self._delete_abandoned_drafts()
        if self.exists:
            return [f"-XX:SharedArchiveFile={self.path}", *_QUIET]
        if not make:
            return []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return []  # a cache that cannot be written keeps nothing, and nothing is lost
        return [f"-XX:ArchiveClassesAtExit={self.draft}", *_QUIET]

    def keep(self) -> None:
        """Publish the draft of a run that ended by itself; the draft must be complete."""
        if not self.draft.exists():
            return
        self.draft.replace(self.path)
        program = self.path.name.rsplit("-", 1)[0]
        archives = sorted(
            self.path.parent.glob(f"{program}-*.jsa"), key=lambda path: path.stat().st_mtime
        )
        for old in archives[:-_KEPT]:
            old.unlink(missing_ok=True)

    def drop(self) -> None:
        """Delete the draft of a run that did not end by itself."""
        self.draft.unlink(missing_ok=True)

    def _delete_abandoned_drafts(self) -> None:
        """Delete abandoned drafts: a JVM writes its draft even when the run was killed."""
        with suppress(OSError):
            for draft in self.path.parent.glob("*.draft"):
                if _is_abandoned(draft):
                    draft.unlink(missing_ok=True)


def _is_abandoned(draft: Path) -> bool:
    written = draft.stat().st_mtime
    if written < time.time() - _ABANDONED_SECONDS:
        return True
    pid = draft.suffixes[-2].removeprefix(".")
    try:
        return pid.isdigit() and psutil.Process(int(pid)).create_time() > written
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
