"""Recordings: three line formats, three packings, and every way a file can be broken."""

import gzip

import pytest
import zstandard

from k2.errors import ConfigError
from k2.feeds.recordings import Line, Recording

pytestmark = pytest.mark.unit


def recorded(folder, content, name="feed.ndjson"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("text", "received_us"),
    [
        (b"1723161600", 1723161600000000),
        (b"1723161600.1643782", 1723161600164378),
        (b"1723161600164", 1723161600164000),
        (b"1723161600164378", 1723161600164378),
        (b"1723161600164378285", 1723161600164378),
    ],
)
def test_the_size_of_a_receive_time_tells_its_unit(tmp_path, text, received_us):
    path = recorded(tmp_path, text + b' {"e":"trade"}\n')

    assert list(Recording(path)) == [Line(b'{"e":"trade"}', received_us)]


def test_a_raw_message_has_no_receive_time_and_blank_lines_are_none(tmp_path):
    path = recorded(tmp_path, b'\n{"e":1}\r\n\n  \n[1,2]')

    assert list(Recording(path)) == [Line(b'{"e":1}', None), Line(b"[1,2]", None)]


def test_only_received_capture_records_hold_a_message(tmp_path):
    path = recorded(
        tmp_path,
        b'{"t":"header","format":2}\n'
        b'{"t":"send","ts":1.5,"data":"x"}\n'
        b'{"t":"recv","conn":"a","ts":1618678142.9348202,"data":"[1,\\"trade\\"]"}\n',
    )

    assert list(Recording(path)) == [
        Line(None, None),
        Line(None, None),
        Line(b'[1,"trade"]', 1618678142934820),
    ]


@pytest.mark.parametrize(
    "line",
    [b'{"t":"recv","ts":1618678142.9,"da', b'{"t":"recv","ts":1618678142.9}', b'{"t":5,"T":"t"}'],
)
def test_a_line_that_is_no_capture_record_after_all_goes_on_whole(tmp_path, line):
    path = recorded(tmp_path, line)

    assert list(Recording(path)) == [Line(line, None)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.gz", gzip.compress),
        ("a.zst", zstandard.compress),
        ("gzip-without-its-name", gzip.compress),
        ("zstd-without-its-name", zstandard.compress),
        (
            "two.gz",
            lambda raw: gzip.compress(raw[:50_001], mtime=0) + gzip.compress(raw[50_001:], mtime=0),
        ),
        ("two.zst", lambda raw: zstandard.compress(raw[:9]) + zstandard.compress(raw[9:])),
        ("plain", bytes),
    ],
)
def test_all_packings_give_the_same_lines(tmp_path, name, pack):
    messages = [b'{"n":%d}' % number for number in range(50_000)]
    path = recorded(tmp_path, pack(b"\n".join(messages)), name)
    recording = Recording(path)

    lines = [line.message for line in recording]

    assert lines == messages
    assert recording.position == recording.size


@pytest.mark.parametrize(("name", "pack"), [("a.gz", gzip.compress), ("a.zst", zstandard.compress)])
@pytest.mark.parametrize("missing", [1, 4, 5_000])
def test_a_cut_off_file_is_an_error_that_says_how_far_it_got(tmp_path, name, pack, missing):
    packed = pack(b"".join(b'{"n":%d}\n' % (number**5) for number in range(50_000)))
    recording = Recording(recorded(tmp_path, packed[:-missing], name))
    lines = []

    with pytest.raises(ConfigError, match=r"broken after line \d+") as failure:
        lines.extend(iter_until_error(recording, lines))

    assert f"after line {len(lines)} " in str(failure.value)
    assert str(recording.path) in str(failure.value)


def iter_until_error(recording, lines):
    for line in recording:
        lines.append(line)
    return []


@pytest.mark.parametrize("name", ["a.gz", "a.zst"])
def test_a_file_that_is_not_what_its_name_says_is_broken(tmp_path, name):
    path = recorded(tmp_path, b"no archive at all", name)

    with pytest.raises(ConfigError, match="broken after line 0"):
        list(Recording(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a", b""), ("a.gz", gzip.compress(b"", mtime=0)), ("a.zst", zstandard.compress(b"\n \n"))],
)
def test_a_file_without_lines_is_an_error(tmp_path, name, content):
    path = recorded(tmp_path, content, name)

    with pytest.raises(ConfigError, match=r"empty|no lines"):
        list(Recording(path))


def test_a_directory_and_a_missing_file_are_errors_that_name_them(tmp_path):
    with pytest.raises(ConfigError, match="directory"):
        Recording(tmp_path)
    with pytest.raises(ConfigError, match=r"No recording at .*nope"):
        Recording(tmp_path / "nope")


def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    packed = zstandard.compress(b"x" * (40 << 20))

    with pytest.raises(ConfigError, match="longer than 16 MiB"):
        list(Recording(recorded(tmp_path, packed, "a.zst")))
