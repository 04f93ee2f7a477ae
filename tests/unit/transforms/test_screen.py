"""Judging rows: a null is a violation, all of them are listed, and what did not decode is not asked."""

import pytest

from k2.quality.rule import Rule
from k2.transforms.screen import screen

pytestmark = pytest.mark.unit

RULES = [Rule("a_not_positive", "a > 0"), Rule("b_not_positive", "b > 0")]
SCHEMA = "a int, b int, error_type string, error_reason string"


@pytest.fixture(scope="module")
def screened(spark):
    rows = [
        (1, 1, None, None),
        (0, 1, None, None),
        (0, 0, None, None),
        (None, 1, None, None),
        (None, None, None, None),
        (1, 1, "decode", "null_value"),
        (0, 0, "decode", "null_value"),
    ]
    judged = screen(spark.createDataFrame(rows, SCHEMA), RULES)
    assert judged.columns == ["a", "b", "error_type", "error_reasons", "outcome"]
    return [(row.outcome, row.error_type, row.error_reasons) for row in judged.collect()]


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        pytest.param(0, ("trade", None, None), id="clean"),
        pytest.param(1, ("dead_letter", "rule", ["a_not_positive"]), id="one broken"),
        pytest.param(
            2, ("dead_letter", "rule", ["a_not_positive", "b_not_positive"]), id="both broken"
        ),
        pytest.param(3, ("dead_letter", "rule", ["a_not_positive"]), id="null"),
        pytest.param(
            4, ("dead_letter", "rule", ["a_not_positive", "b_not_positive"]), id="two nulls"
        ),
        pytest.param(5, ("dead_letter", "decode", ["null_value"]), id="not decoded"),
        pytest.param(6, ("dead_letter", "decode", ["null_value"]), id="rules are not asked"),
    ],
)
def test_a_row_is_judged(screened, row, verdict):
    assert screened[row] == verdict


def test_no_row_is_lost(screened):
    assert len(screened) == 7
