"""The instrument of every record, looked up once for each name that an exchange has for a market."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from k2.exchanges.exchange import Exchange
from k2.exchanges.instruments import Instruments
from k2.exchanges.market_index import UNKNOWN, MarketIndex, Meaning

FIELDS = ("symbol", "currency", "instrument_type", "asset_class")
PROBLEM = "symbol_problem"

MAX_NAMES = (
    10_000  # remembered of a list: an exchange has some thousand markets; garbage has no end
)
MAX_LISTS = 8
_INDEXES: dict[tuple[str, str], "_Remembered"] = {}

_NO_NAME = [Meaning()]
_NOT_THEN = Meaning(problem=UNKNOWN)


class _Remembered:
    """An index, and the answers that it gave so far."""

    def __init__(self, exchange: Exchange, instruments: Instruments) -> None:
        self._index = MarketIndex(exchange, instruments)
        self._known: dict[tuple[str, str], list[Meaning]] = {}

    def meanings(self, name: str, market: str) -> list[Meaning]:
        found = self._known.get((name, market))
        if found is None:
            if len(self._known) >= MAX_NAMES:
                self._known = {}  # another thread may be at the old ones
            found = self._known[name, market] = self._index.meanings(name, market)
        return found


def look_up(
    exchange: Exchange,
    instruments: Instruments,
    names: pa.ChunkedArray,
    split_symbols: pa.ChunkedArray,
    timestamps: pa.ChunkedArray,
) -> dict[str, pa.Array]:
    """Look up the instruments of records.

    Args:
        exchange: whose names they are.
        instruments: what names mean.
        names: the exchange's own names of the markets.
        markets: which of its markets each is of, such as spot.
        timestamps: microseconds since 1970: a name may have meant something else.

    Returns:
        The columns of ``FIELDS``, null where the name means no instrument; then ``PROBLEM`` says why,
        but where there is no name.
    """
    named = names.combine_chunks().dictionary_encode()
    of_market = split_symbols.combine_chunks().dictionary_encode()
    texts, kinds = named.dictionary.to_pylist(), of_market.dictionary.to_pylist()
    count = len(kinds) + 1
    # One number for name and market; the last of each stands for null.
    codes = _codes(named, len(texts)) * count + _codes(of_market, len(kinds))
    used, rows = _numbered(codes)
    remembered = _index(exchange, instruments)
    meanings = [
        _of_pair(remembered, [*texts, None][code // count], [*kinds, None][code % count])
        for code in used.tolist()
    ]
    chosen = [found[-1] for found in meanings]
    taken = rows.copy()
    for place, found in enumerate(meanings):
        if len(found) > 1 or found[0].since is not None or found[0].until is not None:
            chosen += [*found, _NOT_THEN]
            at = np.flatnonzero(rows == place)
            moments = timestamps.take(pa.array(at)).to_pylist()
            first = len(chosen) - len(found) - 1
            taken[at] = [first + _place_at(found, moment) for moment in moments]
    return _columns(chosen, taken)


def _codes(encoded: pa.DictionaryArray, null: int) -> npt.NDArray[np.int64]:
    codes: npt.NDArray[np.int64] = encoded.indices.fill_null(null).to_numpy().astype(np.int64)
    return codes


def _numbered(
    codes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The codes that there are, and for each row which of them it has; there is no gap to speak of."""
    used = np.flatnonzero(np.bincount(codes))
    places = np.zeros(used[-1] + 1 if used.size else 0, np.int64)
    places[used] = np.arange(used.size)
    return used, places[codes]


def _index(exchange: Exchange, instruments: Instruments) -> _Remembered:
    key = exchange.name, instruments.version
    found = _INDEXES.get(key)
    if found is None:
        if len(_INDEXES) >= MAX_LISTS:
            _INDEXES.clear()
        found = _INDEXES[key] = _Remembered(exchange, instruments)
    return found


def _of_pair(remembered: _Remembered, name: str | None, market: str | None) -> list[Meaning]:
    if name is None or not name.strip():
        return _NO_NAME
    return remembered.meanings(name, market or "")


def _place_at(found: Sequence[Meaning], moment: int | None) -> int:
    """The place of what a name meant at a moment; one past the last if it meant nothing then."""
    if moment is None:
        return len(found) - 1
    for place, meaning in enumerate(found):
        if (meaning.since is None or meaning.since <= moment) and (
            meaning.until is None or moment < meaning.until
        ):
            return place
    return len(found)


def _columns(chosen: Sequence[Meaning], taken: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    at = pa.array(taken)
    columns = {
        field: pa.array([getattr(meaning, field) for meaning in chosen], pa.string()).take(at)
        for field in FIELDS
    }
    problems = pa.array([meaning.problem for meaning in chosen], pa.string())
    return columns | {PROBLEM: problems.take(at)}
