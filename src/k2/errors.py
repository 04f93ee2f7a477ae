"""Everything K2 raises on purpose.

K2Error
├── ConfigError             the settings or the call are wrong; fix them, do not retry   exit code 2
│   └── InUseError          another process holds the port, home, lock or checkpoint     exit code 2
├── ContractError           data or a table does not match its definition                exit code 1
│   ├── TableDriftError     the stored table differs from its definition
│   ├── StaleCheckpointError  a table is ahead of its stream's checkpoint
│   └── DataLossError       the broker no longer has records that Bronze has not read
├── FailedError             K2 tried and could not (a full disk, a stream that died)      exit code 1
│   └── NothingDoneError    a job found nothing of what it was asked to do
├── PartlyDoneError         part of what was asked for is done, the rest is named         exit code 4
└── UnavailableError        something outside K2 did not answer; safe to retry            exit code 3

Bad rows are not exceptions. They travel as rows, with a reason, to the dead-letter table.
"""

import difflib
import errno
import re
from collections.abc import Iterable
from typing import ClassVar

# As the system, Java, delta-rs, SQLite and K2 say it; some only in the text of an error of their own.
FULL_DISK = re.compile(
    r"No space left on device|ENOSPC|Disk quota exceeded|(disk|K2_HOME=.*) is full", re.I
)


class K2Error(Exception):
    """Base class: catch this to catch everything K2 raises, and nothing else."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1


class ConfigError(K2Error):
    """A setting or an argument is missing or cannot be used."""

    exit_code = 2


class InUseError(ConfigError):
    """Another process holds what this one needs: a port, a home, a table or a checkpoint."""


class ContractError(K2Error):
    """Data or a table does not match its definition."""


class TableDriftError(ContractError):
    """The stored table differs from its definition."""


class StaleCheckpointError(ContractError):
    """A table is ahead of its stream's checkpoint: going on would silently drop batches."""


class DataLossError(ContractError):
    """The broker no longer has records that Bronze has not read."""


class PartlyDoneError(K2Error):
    """Part of what was asked for is done; the message names the rest."""

    exit_code = 4


class FailedError(K2Error):
    """K2 tried and could not."""


class NothingDoneError(FailedError):
    """A job found nothing of what it was asked to do."""


class UnavailableError(K2Error):
    """A broker, registry or store did not answer; the same call may work later."""

    retryable = True
    exit_code = 3


def is_full_disk(error: BaseException | str) -> bool:
    """Tell whether an error, whoever's it is, or its text says that a disk has no room left."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return FULL_DISK.search(text_of(error)) is not None


def text_of(error: BaseException | str) -> str:
    """Return an error's text; that of one whose JVM has ended is gone with it."""
    try:
        return str(error)
    except Exception:  # Py4J asks the JVM
        return f"{type(error).__name__}, whose text went with the JVM that had it"


def first_line(text: str, most: int = 400) -> str:
    """Return what a long account of an error begins with, ``most`` characters of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:most] if lines else "no message"


def did_you_mean(word: str, known: Iterable[str], count: int = 1) -> str:
    """Return `` Did you mean BTC-USDT?`` where known names, at most so many, resemble the word."""
    by_folded = {name.casefold().replace("_", "-"): name for name in known}
    folded = word.casefold().replace("_", "-")
    found = difflib.get_close_matches(folded, by_folded, n=count, cutoff=0.7)
    return f" Did you mean {' or '.join(by_folded[name] for name in found)}?" if found else ""
