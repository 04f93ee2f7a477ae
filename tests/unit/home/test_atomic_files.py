"""A file that somebody asked for is there whole, or not at all."""

from pathlib import Path

import pytest

from k2.errors import ConfigError
from k2.home.atomic_files import written_whole

pytestmark = pytest.mark.unit


def test_a_file_is_there_once_it_is_written_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "trades.csv"

    with written_whole(file) as draft:
        draft.write_text("all")
        assert not file.exists()

    assert file.read_text() == "all"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_not_written_to_its_end_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "trades.csv"
    file.write_text("before")

    with pytest.raises(KeyboardInterrupt):
        write_half(file)

    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "trades.csv"

    with (
        pytest.raises(ConfigError, match=f"Cannot write {file}: No such file or directory"),
        written_whole(file) as draft,
    ):
        draft.write_text("all")


def write_half(file: Path) -> None:
    with written_whole(file) as draft:
        draft.write_text("half")
        raise KeyboardInterrupt
