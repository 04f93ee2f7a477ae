"""``k2 scripts``: paths that spark-submit can take."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.unit


def test_the_path_of_a_script_is_printed_alone(k2):
    said = k2("scripts", "gold")

    assert said.code == 0
    assert Path(said.out.rstrip("\n")).name == "gold.py"
    assert Path(said.out.rstrip("\n")).is_file()


def test_all_of_them_are_listed(k2):
    paths = [Path(line) for line in k2("scripts", "--list").out.splitlines()]

    assert {path.stem for path in paths} >= {"bronze", "silver", "gold", "ohlcv", "quality"}
    assert {path.parent for path in paths} == {Path(k2("scripts").out.strip())}


def test_a_script_that_there_is_not_is_named_with_a_guess(k2):
    said = k2("scripts", "golf")

    assert said.code == 2
    assert "Did you mean gold?" in said.err
