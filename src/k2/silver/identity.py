"""Name a trade: the same message id on every run, computed from the trade alone."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from k2.sql import query

_SEED = 42
_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1).toordinal()

_ID_DIGITS = 16
_HEX = np.array([f"{byte:02x}" for byte in range(256)], "S2")


def space_hashes(spaces: pa.ChunkedArray) -> pa.Array:
    """Return 16 hex digits for each id space, its xxHash64. There are few: one for each market."""
    named = spaces.combine_chunks().dictionary_encode()
    hashes = [_hash(space) for space in named.dictionary.to_pylist()]
    return pa.array(hashes, pa.string()).take(named.indices)


def identities(spaces: pa.Array, firsts: pa.ChunkedArray, fields: pa.ChunkedArray) -> pa.Array:
    """Return 32 hex digits for each trade's identity.

    With ids: the hash of its id space (``spaces``), then the first id that it covers, so that no two trades of
    a space collide. Without ids: the MD5 of all its ``fields``, used to distribute them and not for security.
    """
    numbered = pc.binary_join_element_wise(spaces, _hex(firsts.combine_chunks()), "")
    if not firsts.null_count:
        return numbered
    sql = "select coalesce(numbered, md5(fields)) as identity from trades"
    named = query(sql, trades=pa.table({"numbered": numbered, "fields": fields}))
    return named["identity"].combine_chunks()


def message_ids(exchange: str, timestamps: pa.ChunkedArray, identities: pa.Array) -> pa.Array:
    """Return ``{exchange}-{yyyymmdd of timestamp}-{identity}``; null without a time.

    ``timestamps`` are microseconds since 1970, UTC.
    """
    # Rounded towards the past, unlike a division of whole numbers in Arrow.
    days = np.floor_divide(timestamps.fill_null(0).to_numpy(), _DAY_US)
    named = pc.dictionary_encode(pa.array(days))
    texts = [_day(day) for day in named.dictionary.to_pylist()]
    of_each = pa.array([f"{exchange}-{text}" for text in texts], pa.string()).take(named.indices)
    is_timed = timestamps.combine_chunks().is_valid()
    return pc.binary_join_element_wise(pc.if_else(is_timed, of_each, None), identities, "-")


def _day(number: int) -> str:
    day = date.fromordinal(_EPOCH + number)
    return f"{day.year:04}{day.month:02}{day.day:02}"


def _hex(ids: pa.Array) -> pa.Array:
    """Each id as 16 hex digits, a negative one as its two's complement."""
    whole = ids.fill_null(0).to_numpy().astype(">i8").view(np.uint8)
    ends = np.arange(len(ids) + 1, dtype=np.int32) * _ID_DIGITS
    mask = None if not ids.null_count else ids.is_valid().buffers()[1]
    buffers = [mask, pa.py_buffer(ends), pa.py_buffer(_HEX[whole])]
    return pa.Array.from_buffers(pa.string(), len(ids), buffers)


def _hash(space: str) -> str:
    return xxhash.xxh64_hexdigest(space.encode(), _SEED)
