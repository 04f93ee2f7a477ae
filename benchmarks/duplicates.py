"""What the search for duplicates costs as Silver grows: ``python -m benchmarks.duplicates``.

Without Spark and Kafka: the index alone takes batches of trades, of which 2 % came before, half of
them at any time. It grows to its full size and is copied on the way; then a batch goes to each copy
in turn, so that whatever else the machine does meets all sizes alike. Every judgement is held to the
truth; a wrong one leaves no figures.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from k2.silver.dedup.index import DedupIndex

_BATCH = 10_000
_DUPLICATES = 0.02
_OLD = 0.5
_SIZES = (0.01, 0.03, 0.1, 0.3, 1.0)  # of the full one
_ROUNDS = 40
_START_US = 1_783_382_400_000_000
_DAY_US = 86_400_000_000
_DAYS = 10  # that the trades of a full run cover
_MARKETS = 20
_INDEX = "seen-trades.db"

Ints = npt.NDArray[np.int64]
Batch = tuple[pa.Table, npt.NDArray[np.bool_]]  # and which rows are duplicates
Names = tuple[str, pa.Array, pa.Array]  # exchange, hash, and number or null
MessageId = Callable[[Ints], Names]


@dataclass(frozen=True)
class Point:
    """A batch at a size of the table: CPU milliseconds, the wall's, and what the file takes."""

    trades: int
    cpu_ms: float
    p10_ms: float
    p90_ms: float
    wall_ms: float
    index_mb: float
    ranges: int


@dataclass(frozen=True)
class Curve:
    """A growing table. ``exponent``: a batch costs as trades to the power of it; 0 is flat.

    ``memory_mb``: the process with the index at its smallest and at its full size.
    """

    kind: str
    exponent: float
    memory_mb: tuple[int, int]
    points: list[Point]


def main() -> None:
    """Measure all kinds of identity; print the curves and keep them in ``reports``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description=__doc__)
    parser.add_argument("--trades", type=int, default=10_000_000)
    parser.add_argument("--only", nargs="*", choices=list(_KINDS), default=list(_KINDS))
    arguments = parser.parse_args()
    curves = []
    for kind in arguments.only:
        curve = measure(kind, arguments.trades)
        curves.append(asdict(curve))
        print(as_table(curve), flush=True)
    report = Path("reports") / "duplicates.json"
    report.parent.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "at": time.strftime("%F %T")}
    report.write_text(json.dumps({"machine": machine, "curves": curves}, indent=2))
    print(f"Written to {report}.")


def measure(kind: str, trades: int) -> Curve:
    """Let an index grow to so many trades, then measure batches at all sizes in turn.

    Raises:
        RuntimeError: it took a trade for a duplicate, or the other way round.
    """
    folder = Path(tempfile.mkdtemp(prefix="k2-bench-"))
    try:
        sizes = sorted({max(int(share * trades) // _BATCH, 1) * _BATCH for share in _SIZES})
        memory = _grow(kind, trades, sizes, folder)
        points = _measured(kind, trades, sizes, folder)
    finally:
        shutil.rmtree(folder)
    costs = np.log([[point.trades, point.cpu_ms] for point in points])
    slope = float(np.polyfit(costs[:, 0], costs[:, 1], 1)[0])
    return Curve(kind, round(slope, 3), memory, points)


def as_table(curve: Curve) -> str:
    """Return a curve as Markdown."""
    before, after = curve.memory_mb
    head = (
        f"\n{curve.kind}: exponent {curve.exponent:+.3f}, memory {before} MB → {after} MB\n\n"
        "| trades | CPU ms, median | p10 – p90 | wall ms | index MB | ranges |\n"
        "|---:|---:|---:|---:|---:|---:|\n"
    )
    return head + "\n".join(
        f"| {p.trades:,} | {p.cpu_ms:.1f} | {p.p10_ms:.1f} – {p.p90_ms:.1f}"
        f" | {p.wall_ms:.1f} | {p.index_mb:.1f} | {p.ranges:,} |"
        for p in curve.points
    )


def _grow(kind: str, trades: int, sizes: list[int], folder: Path) -> tuple[int, int]:
    process, random = psutil.Process(), np.random.default_rng(7)
    index = DedupIndex(folder / _INDEX)
    memory = []
    for number, batch in enumerate(_batches(kind, trades, 0, random)):
        _take(index, number, batch)
        if (number + 1) * _BATCH in sizes:
            memory.append(round(process.memory_info().rss / 1e6))
            index.close()  # and with it what is not in the file yet
            copy = folder / f"{(number + 1) * _BATCH}.db"
            shutil.copy(folder / _INDEX, copy)
            index = DedupIndex(folder / _INDEX)
        if (number + 1) * _BATCH >= trades:
            break
    index.close()
    return memory[0], memory[-1]


def _measured(kind: str, trades: int, sizes: list[int], folder: Path) -> list[Point]:
    indexes = [DedupIndex(folder / f"{size}.db") for size in sizes]
    streams = [_batches(kind, trades, size, np.random.default_rng(size)) for size in sizes]
    spent: list[list[tuple[float, float]]] = [[] for _ in sizes]
    for round_ in range(_ROUNDS):
        for index, stream, times, size in zip(indexes, streams, spent, sizes, strict=True):
            times.append(_take(index, size // _BATCH + round_, next(stream)))
    points = []
    for index, times, size in zip(indexes, spent, sizes, strict=True):
        ranges = index.range_count
        index.close()
        # The first of them open files and fill caches.
        cpu, wall = np.array(times[_ROUNDS // 8 :]).T * 1000
        p10, median, p90 = (round(float(value), 2) for value in np.percentile(cpu, [10, 50, 90]))
        size_mb = round((folder / f"{size}.db").stat().st_size / 1e6, 1)
        waited = round(float(np.median(wall)), 2)
        mean = size + _ROUNDS * _BATCH // 2
        points.append(Point(mean, median, p10, p90, waited, size_mb, ranges))
    return points


def _take(index: DedupIndex, number: int, batch: Batch) -> tuple[float, float]:
    """Let the index take a batch; return CPU and wall seconds."""
    rows, truth = batch
    began = time.process_time(), time.perf_counter()
    found = index.find_duplicates(rows)
    index.commit_batch(found, number)
    spent = time.process_time() - began[0], time.perf_counter() - began[1]
    if not np.array_equal(found.duplicates, truth):
        raise RuntimeError(f"Batch {number} was judged wrongly.")
    return spent


def _batches(kind: str, trades: int, stored: int, random: np.random.Generator) -> Iterator[Batch]:
    """Yield batches after the first ``stored`` rows, without end.

    Trade n is the same whenever it is asked for. So that every generator knows how many trades the
    rows before were, each batch has equally many duplicates; the first has none.
    """
    again = int(_BATCH * _DUPLICATES)
    name, step_us = _KINDS[kind], _DAYS * _DAY_US / trades
    made = 0 if stored == 0 else stored - again * (stored // _BATCH - 1)
    while True:
        repeated = 0 if made == 0 else again
        is_again = np.zeros(_BATCH, np.bool_)
        is_again[random.permutation(_BATCH)[:repeated]] = True
        which = np.empty(_BATCH, np.int64)
        which[~is_again] = np.arange(made, made + _BATCH - repeated)
        back = np.where(random.random(repeated) < _OLD, made, min(made, _BATCH))
        which[is_again] = made - 1 - (random.random(repeated) * back).astype(np.int64)
        made += _BATCH - repeated
        yield _rows(which, name, step_us, stored), is_again
        stored += _BATCH


def _rows(which: Ints, name: MessageId, step_us: float, offset: int) -> pa.Table:
    times = (_START_US + which * step_us).astype(np.int64)
    prefix, hashes, numbers = name(which)
    return pa.table(
        {
            "message_id": pc.binary_join_element_wise(prefix, _days(times), hashes, "-"),
            "first_trade_id": numbers,
            "last_trade_id": numbers,
            "timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            "partition": pa.array(np.zeros(which.size, np.int32)),
            "offset": pa.array(np.arange(offset, offset + which.size)),
        }
    )


def _days(times: Ints) -> pa.Array:
    days, which = np.unique(times // _DAY_US, return_inverse=True)
    names = [time.strftime("%Y%m%d", time.gmtime(day * 86_400)) for day in days.tolist()]
    return pa.array(names).take(pa.array(which))


def _hex(first: Ints, second: Ints) -> pa.Array:
    """Return 32 hex digits for each pair of numbers."""
    digits = np.stack((first, second), axis=1).astype(">u8").tobytes().hex().encode()
    offsets = np.arange(0, 32 * (first.size + 1), 32, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    return pa.Array.from_buffers(pa.string(), first.size, buffers)


def _numbered(which: Ints) -> Names:
    numbers = 6_500_000_000 + which // _MARKETS
    return "binance", _hex(which % _MARKETS, numbers), pa.array(numbers)


def _with_gaps(which: Ints) -> Names:
    """Of 200 numbers one never reaches Silver, as dead letters do."""
    place = which // _MARKETS
    numbers = 6_500_000_000 + place + place // 199
    return "binance", _hex(which % _MARKETS, numbers), pa.array(numbers)


def _without_number(which: Ints) -> Names:
    """Hashes of the trades, as far apart as an MD5's."""
    state = np.array([1, 2], np.uint64)[:, None] + which.astype(np.uint64) * np.uint64(2)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)  # SplitMix64
    first, second = state ^ (state >> np.uint64(31))
    return "kraken", _hex(first, second), pa.nulls(which.size, pa.int64())


_KINDS: dict[str, MessageId] = {
    "increasing ids": _numbered,
    "increasing ids with gaps": _with_gaps,
    "no ids (Kraken v1)": _without_number,
}


if __name__ == "__main__":
    main()
