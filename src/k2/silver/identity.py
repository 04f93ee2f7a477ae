"""What a trade is called: the same name on every run, from the trade alone."""

import pyarrow as pa
import xxhash

_SEED = 42

# SQL: 32 hex digits for a trade's identity. With ids: the hash of its space, then the first id that it
# covers, so that no two trades of a space can meet. Without: the MD5 of all fields, which spreads them
# and keeps no secret.
IDENTITY = "coalesce(identity_space || printf('%016x', first_trade_id), md5(identity_fields))"
# SQL: the day of a trade's time, UTC, null without one.
DAY = "strftime(make_timestamp(timestamp), '%Y%m%d')"


def space_hashes(spaces: pa.ChunkedArray) -> pa.Array:
    """Return 16 hex digits for each space of numbers: its xxHash64. There are few: a market has one."""
    named = spaces.combine_chunks().dictionary_encode()
    hashes = [_hash(space) for space in named.dictionary.to_pylist()]
    return pa.array(hashes, pa.string()).take(named.indices)


def message_id(exchange: str) -> str:
    """SQL for ``{exchange}-{yyyymmdd of timestamp}-{identity}``."""
    return f"'{exchange}-' || day || '-' || identity"


def _hash(space: str) -> str:
    return xxhash.xxh64_hexdigest(space.encode(), _SEED)
