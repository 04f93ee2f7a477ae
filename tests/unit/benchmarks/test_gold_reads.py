"""The reads that are measured: the same trades before and after compaction give the same answers."""

from pathlib import Path

import pytest

import k2
from benchmarks.gold_reads import as_markdown, ask_bars, ask_hour, make_homes

pytestmark = pytest.mark.unit


def test_both_states_of_the_files_give_the_same_answers(tmp_path: Path) -> None:
    homes = make_homes(tmp_path, rows=10_000, hours=10, files_an_hour=2)

    with k2.Lake(homes["small_files"]) as small, k2.Lake(homes["compacted"]) as compacted:
        assert (len(small.trades().files), len(compacted.trades().files)) == (20, 10)
        hours = [ask_hour(lake).sort_by("timestamp") for lake in (small, compacted)]
        bars = [ask_bars(lake) for lake in (small, compacted)]

    assert hours[0].equals(hours[1])
    assert bars[0].equals(bars[1])
    assert 100 < hours[0].num_rows < 1_000
    assert sum(bars[0]["trades"].to_pylist()) > hours[0].num_rows


def test_figures_are_a_table() -> None:
    asked = {"hour": 1.5, "bars": 20.0}
    found = {"clickhouse": asked, "compacted": {**asked, "files": 48}, "small_files": asked}

    assert "| K2 | 48 | 1.5 | 20.0 |" in as_markdown(found)
