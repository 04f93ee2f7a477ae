"""What a full disk looks like, whoever tells of it."""

import errno
import sqlite3

import pytest
from deltalake.exceptions import DeltaError

from k2.errors import FailedError, is_full_disk

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Over quota, in another language"),
        "java.io.IOException: No space left on device",
        DeltaError("Failed to parse parquet: External: No space left on device (os error 28)"),
        sqlite3.OperationalError("database or disk is full"),
        FailedError("The disk of K2_HOME=/data/k2 is full; make room or set K2_HOME elsewhere."),
    ],
)
def test_a_full_disk_is_seen_in_an_error_of_any_kind(error: BaseException | str) -> None:
    assert is_full_disk(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "Permission denied"),
        "Local: Queue full",
        "disk I/O error",
        "disk 82% full",
        "",
    ],
)
def test_what_only_sounds_like_it_is_not(error: BaseException | str) -> None:
    assert not is_full_disk(error)
