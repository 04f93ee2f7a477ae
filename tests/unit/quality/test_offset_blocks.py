"""Fingerprints of blocks: what is the same is not looked at, and memory is that of the blocks."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from k2.quality.offset_blocks import BLOCK, OffsetBlocks, Run, Source, runs_of, spilling_database

pytestmark = pytest.mark.unit

MANY = 8_000_000
MEGABYTES = 2**20


def write(path: Path, offsets: range) -> Source:
    """Write the offsets of partition 0, a million at a time."""
    schema = pa.schema({"partition": pa.int32(), "offset": pa.int64()})
    with pq.ParquetWriter(path, schema, use_dictionary=["partition"]) as writer:
        for first in range(offsets.start, offsets.stop, 1_000_000):
            part = pa.array(range(first, min(first + 1_000_000, offsets.stop)), pa.int64())
            writer.write_table(
                pa.table({"partition": pa.array([0] * len(part), pa.int32()), "offset": part})
            )
    return Source([str(path)])


@pytest.mark.performance
def test_memory_does_not_grow_with_the_offsets(tmp_path: Path) -> None:
    files = {n: write(tmp_path / f"{n}.parquet", range(n)).files[0] for n in (BLOCK, MANY)}
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from k2.quality.offset_blocks import OffsetBlocks, Source, spilling_database\n"
        "with spilling_database(Path(sys.argv[2])) as database:\n"
        "    OffsetBlocks(database, {'bronze': Source([sys.argv[1]])})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    peaks = [
        int(subprocess.check_output([sys.executable, "-c", program, file, tmp_path / "spill"]))
        for file in files.values()
    ]

    # As Python lists the offsets would be 300 MB, as Arrow columns 96.
    assert (peaks[1] - peaks[0]) * 1024 < 64 * MEGABYTES


def test_blocks_that_follow_each_other_are_one_run_and_a_run_is_bounded() -> None:
    assert list(runs_of([(0, 2), (0, 1), (1, 2), (0, 4), (0, 1)])) == [
        Run(0, BLOCK, 3 * BLOCK),
        Run(0, 4 * BLOCK, 5 * BLOCK),
        Run(1, 2 * BLOCK, 3 * BLOCK),
    ]
    assert max(run.end - run.first for run in runs_of((0, b) for b in range(100))) == 8 * BLOCK


def test_the_offsets_that_a_set_lacks_are_named(tmp_path: Path) -> None:
    source = write(tmp_path / "a.parquet", range(3, 10))

    with spilling_database(tmp_path) as database:
        blocks = OffsetBlocks(database, {"bronze": source})

        assert blocks.absent("bronze", Run(0, 0, 12)) == [0, 1, 2, 10, 11]
        assert blocks.held("bronze", Run(0, 8, 100), 1) == ([8], 2)
        assert blocks.rows("bronze") == 7
