"""What Kafka does not take waits on disk, in order, through crashes, and within bounds."""

import os
import time
from io import FileIO
from pathlib import Path

import pytest

from k2.feeds.live.feed_record import FeedRecord
from k2.feeds.live.spool import Spool

pytestmark = pytest.mark.unit


def record(number: int, size: int = 20) -> FeedRecord:
    return FeedRecord("topic", b"BTC", bytes(size), number, "BTC", number, number)


def everything(spool: Spool) -> list[FeedRecord]:
    found = []
    while len(spool):
        found += spool.oldest()
        spool.done()
    return found


def filled(folder: Path, numbers: range) -> None:
    spool = Spool(folder, 1 << 30, 3600)
    for number in numbers:
        spool.append(record(number))
    spool.close()


def test_records_come_out_as_they_went_in(tmp_path: Path) -> None:
    records = [record(n)._replace(key=None, value=bytes([n % 256])) for n in range(100)]
    spool = Spool(tmp_path, 1 << 30, 3600)

    for one in records:
        spool.append(one)

    assert len(spool) == 100
    assert everything(spool) == records
    assert list(tmp_path.iterdir()) == []


def test_another_process_goes_on_with_what_is_there(tmp_path: Path) -> None:
    filled(tmp_path, range(10))

    after = Spool(tmp_path, 1 << 30, 3600)
    after.append(record(10))

    assert [r.time_ms for r in everything(after)] == list(range(11))


def test_a_frame_that_a_crash_cut_off_ends_its_segment(tmp_path: Path) -> None:
    filled(tmp_path, range(10))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-5])

    after = Spool(tmp_path, 1 << 30, 3600)

    assert [r.time_ms for r in everything(after)] == list(range(9))


def test_what_comes_while_a_segment_is_read_is_not_taken_out_with_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 30, 3600)
    spool.append(record(1))

    read = spool.oldest()
    spool.append(record(2))
    spool.done()

    assert [r.time_ms for r in read] == [1]
    assert [r.time_ms for r in everything(spool)] == [2]


def test_older_records_go_before_all_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 30, 3600)
    spool.append(record(5))

    spool.prepend([record(3), record(4)])
    spool.close()

    again = Spool(tmp_path, 1 << 30, 3600)
    assert [r.time_ms for r in everything(again)] == [3, 4, 5]


def test_of_too_much_the_oldest_goes_and_is_named(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 9 << 20, 3600)
    for number in range(20):
        spool.append(record(number, 1 << 20))

    dropped = spool.trim(time.time())

    assert dropped is not None
    first, last, _ = dropped.ranges["BTC"]
    assert (first, dropped.records) == (0, last + 1)
    while spool.trim(time.time()) is not None:
        pass
    assert spool.bytes <= 9 << 20
    assert everything(spool)[-1].time_ms == 19


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 30, 3600)
    spool.append(record(1))
    spool.flush()
    (file,) = tmp_path.iterdir()
    os.utime(file, (time.time() - 7200,) * 2)

    assert spool.trim(time.time()) is not None
    assert len(spool) == 0


def test_a_spool_that_nobody_uses_is_taken_over_in_order(tmp_path: Path) -> None:
    left = Spool(tmp_path / "left", 1 << 30, 3600)
    for number in range(10):
        left.append(record(number, 1 << 20))
    left.close()
    spool = Spool(tmp_path / "own", 1 << 30, 3600)
    spool.append(record(99, 10))
    spool.flush()

    moved = spool.take_over(tmp_path / "left", 10)

    assert moved == 10
    assert list((tmp_path / "left").iterdir()) == []
    assert [r.first for r in everything(spool)] == [*range(10), 99]


def test_a_segment_that_comes_before_the_one_being_read_is_not_taken_out_for_it(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, 1 << 30, 3600)
    spool.append(record(2, 10))
    spool.oldest()
    spool.prepend([record(1, 10)])

    spool.done()

    assert [r.first for r in everything(spool)] == [1]


def test_what_the_disk_does_not_take_is_told_and_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, 1 << 30, 3600)
    spool.append(record(1, 10))
    spool.flush()
    write = FileIO.write

    class FullDisk(FileIO):
        def write(self, content: bytes) -> int:  # type: ignore[override]
            return write(self, content[: len(content) // 2])

    whole, spool._writing = spool._writing, FullDisk(tmp_path / "0.spool", "ab")
    spool.append(record(2, 10))
    spool.flush()
    spool._writing.close()
    spool._writing = whole
    spool.append(record(3, 10))
    spool.close()

    assert [r.first for r in spool.unwritten] == [2]
    assert [r.first for r in everything(Spool(tmp_path, 1 << 30, 3600))] == [1, 3]
