"""Judging rows: a null is a violation, and all of them are listed."""

import pyarrow as pa
import pytest

from k2.silver.rules.apply_rules import reasons
from k2.silver.rules.rule import Rule
from k2.sql import query

pytestmark = pytest.mark.unit

RULES = [Rule("a_not_positive", "a > 0"), Rule("b_not_positive", "b > 0")]
ROWS = [(1, 1), (0, 1), (0, 0), (None, 1), (None, None)]


@pytest.fixture(scope="module")
def judged():
    a, b = (pa.array([row[place] for row in ROWS], pa.int64()) for place in (0, 1))
    sql = f"select {reasons(RULES)} as broken from rows"  # noqa: S608
    return query(sql, rows=pa.table({"a": a, "b": b}))["broken"].to_pylist()


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
