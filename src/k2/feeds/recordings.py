"""Recorded feeds, read as a stream: three line formats; plain, gzip or zstandard."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard

from k2.errors import ConfigError
from k2.exchanges.parsing import MessageRejected, decode

_CHUNK_BYTES = 256 * 1024
_MAX_LINE_BYTES = 16 * 1024 * 1024

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_TIMED = re.compile(rb"(\d{9,20}(?:\.\d{1,9})?)\s+(\S.*)", re.DOTALL)
_CAPTURE = re.compile(rb'"t"\s*:\s*"')
_CAPTURE_WITHIN = 200


class Line(NamedTuple):
    """One line: the message, or None for a line that holds none, and when it was received, in µs."""

    message: bytes | None
    received_us: int | None


class Recording:
    """One recorded file; iterate it for its lines. Blank lines are no lines.

    ``position`` of ``size`` bytes have been read, compressed as they are; ``lines`` were handed out.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ConfigError(f"No recording at {path}; give the path of a file.")
        if not path.is_file():
            raise ConfigError(f"{path} is a directory or device, not a recording; name its files.")
        self.path = path
        self.size = path.stat().st_size
        if not self.size:
            raise ConfigError(f"The recording {path} is empty; record or copy it again.")
        try:
            with path.open("rb") as file:
                self._magic = file.read(4)
        except OSError as error:
            raise ConfigError(f"Cannot read the recording {path}: {error.strerror}.") from error
        self.position = 0
        self.lines = 0

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines.

        Raises:
            ConfigError: the file breaks off or is no recording; the message says after which line.
                The lines before that have been handed out.
        """
        try:
            for line in _lines(self._chunks()):
                text = line.strip()
                if text:
                    self.lines += 1
                    yield _read_line(text)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError, _BrokenError) as error:
            raise ConfigError(
                f"The recording {self.path} is broken after line {self.lines} ({error})."
                " What came before is sent; after a repair replay it again,"
                " trades that K2 has already are recognised."
            ) from error
        if not self.lines:
            raise ConfigError(f"The recording {self.path} holds no lines; record or copy it again.")

    def _chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            if self.path.suffix == ".gz" or self._magic.startswith(_GZIP_MAGIC):
                chunks = _gunzip(file)
            elif self.path.suffix == ".zst" or self._magic == _ZSTD_MAGIC:
                chunks = _unzstd(file)
            else:
                chunks = _plain(file)
            for chunk in chunks:
                self.position = file.tell()
                yield chunk


class _BrokenError(Exception):
    pass


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as unpacked:
        # read1 hands out what is whole before it meets a break.
        while chunk := unpacked.read1(_CHUNK_BYTES):
            yield chunk


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    # The library's stream reader takes a cut-off frame for a complete one; its object says `eof`.
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    started = False
    for packed in _plain(file):
        rest = packed
        while rest:
            if unpacker.eof:
                unpacker, started = zstandard.ZstdDecompressor().decompressobj(), False
            chunk, started = unpacker.decompress(rest), True
            rest = unpacker.unused_data if unpacker.eof else b""
            if chunk:
                yield chunk
    if started and not unpacker.eof:
        raise _BrokenError("the compressed data ends too early")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _MAX_LINE_BYTES:
            raise _BrokenError(f"a line is longer than {_MAX_LINE_BYTES >> 20} MiB")
    yield rest


def _read_line(line: bytes) -> Line:
    if line[:1].isdigit() and (timed := _TIMED.fullmatch(line)):
        return Line(timed[2], _micros(timed[1].decode()))
    if line[:1] == b"{" and _CAPTURE.search(line, 0, _CAPTURE_WITHIN):
        return _capture(line)
    return Line(line, None)


def _capture(line: bytes) -> Line:
    try:
        record = decode(line)
    except MessageRejected:
        return Line(line, None)  # a cut-off record is for the parser to reject, whole
    kind = record.get("t")
    if not isinstance(kind, str):
        return Line(line, None)
    if kind != "recv":
        return Line(None, None)
    data = record.get("data")
    if not isinstance(data, str):
        return Line(line, None)
    # A lone surrogate stays broken, so that the parser rejects the message.
    return Line(data.encode("utf-8", "surrogatepass"), _micros(str(record.get("ts"))))


def _micros(text: str) -> int | None:
    try:
        moment = Decimal(text)
    except InvalidOperation:
        return None
    if not moment.is_finite() or moment <= 0:
        return None
    for limit, micros_a_unit in ((11, 1_000_000), (14, 1_000), (17, 1)):
        if moment < 10**limit:
            return int(moment * micros_a_unit)
    return int(moment) // 1000 if moment < 10**20 else None
