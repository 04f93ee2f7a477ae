"""A further exchange becomes a further line of every planned batch's offsets."""

from pathlib import Path

import pytest

from k2.errors import StaleCheckpointError
from k2.storage.checkpoints.sources import admit_sources

pytestmark = pytest.mark.unit

HEAD = ["v1", '{"batchWatermarkMs":0}']


def planned(checkpoint: Path, batch: int, *sources: str) -> Path:
    folder = checkpoint / "offsets"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / str(batch)
    path.write_text("\n".join([*HEAD, *sources]))
    (folder / f".{batch}.crc").write_bytes(b"crc")
    return path


def test_a_new_source_has_given_nothing_in_all_planned_batches(tmp_path: Path) -> None:
    paths = [planned(tmp_path, batch, '{"a":1}', "-") for batch in (9, 10)]

    admit_sources(tmp_path, 3)

    for path in paths:
        assert path.read_text().splitlines() == [*HEAD, '{"a":1}', "-", "-"]
        assert not path.with_name(f".{path.name}.crc").exists()


def test_a_checkpoint_with_all_sources_is_left_as_it_is(tmp_path: Path) -> None:
    path = planned(tmp_path, 0, '{"a":1}', '{"b":1}')

    admit_sources(tmp_path, 2)

    assert path.read_text().splitlines() == [*HEAD, '{"a":1}', '{"b":1}']
    assert path.with_name(".0.crc").exists()


def test_a_source_that_was_taken_out_is_refused(tmp_path: Path) -> None:
    planned(tmp_path, 0, '{"a":1}', '{"b":1}')

    with pytest.raises(StaleCheckpointError, match="knows 2 sources, but there are 1"):
        admit_sources(tmp_path, 1)


def test_a_stream_that_never_ran_has_nothing_to_admit_to(tmp_path: Path) -> None:
    admit_sources(tmp_path, 3)

    assert list(tmp_path.iterdir()) == []
