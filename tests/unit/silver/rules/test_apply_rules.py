"""Judging rows: a null is a violation, and all of them are listed."""

import pyarrow as pa
import pytest

from k2.silver.rules.apply_rules import error_reasons
from k2.silver.rules.rule import Rule

pytestmark = pytest.mark.unit

RULES = [Rule("a_not_positive", "a > 0"), Rule("b_not_positive", "b > 0")]
ROWS = [(1, 1), (0, 1), (0, 0), (None, 1), (None, None)]


def judge(rows, fillers=()):
    a, b = (pa.array([row[place] for row in rows], pa.int64()) for place in (0, 1))
    is_filler = pa.array([number in fillers for number in range(len(rows))])
    table = pa.table({"a": a, "b": b, "is_filler": is_filler})
    return error_reasons(table, RULES).to_pylist()


@pytest.fixture(scope="module")
def judged():
    return judge(ROWS)


@pytest.mark.parametrize(
    ("row", "broken"),
    [
        pytest.param(0, None, id="clean"),
        pytest.param(1, ["a_not_positive"], id="one broken"),
        pytest.param(2, ["a_not_positive", "b_not_positive"], id="both broken"),
        pytest.param(3, ["a_not_positive"], id="null"),
        pytest.param(4, ["a_not_positive", "b_not_positive"], id="two nulls"),
    ],
)
def test_a_row_is_judged(judged, row, broken):
    assert judged[row] == broken


def test_no_row_is_lost(judged):
    assert len(judged) == len(ROWS)


def test_rows_that_are_all_clean_break_nothing():
    assert judge([(1, 1), (2, 2)]) == [None, None]


def test_rows_that_are_all_broken_say_why():
    assert judge([(0, 1), (1, 0)]) == [["a_not_positive"], ["b_not_positive"]]


def test_no_rows_break_nothing():
    assert judge([]) == []


def test_a_filler_is_one_whatever_else_it_breaks():
    assert judge([(1, 1), (0, 0), (1, 1)], fillers=[0, 1]) == [["filler"], ["filler"], None]
