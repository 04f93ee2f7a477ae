import pytest

from benchmarks.guard import regressions

pytestmark = pytest.mark.unit

RECORDED = {"stock / k2": 4.0, "k2 / lean": 3.0}


def measured(stock_to_k2: float, k2_to_lean: float) -> dict[str, dict[str, float]]:
    return {"stock / k2": {"median": stock_to_k2}, "k2 / lean": {"median": k2_to_lean}}


@pytest.mark.parametrize(("stock_to_k2", "k2_to_lean"), [(4, 3), (2.1, 5.9), (9, 1)])
def test_ratios_within_twice_the_recorded_ones_pass(stock_to_k2, k2_to_lean):
    assert regressions(measured(stock_to_k2, k2_to_lean), RECORDED) == []


@pytest.mark.parametrize(
    ("stock_to_k2", "k2_to_lean", "named"), [(1.9, 3, "stock / k2"), (4, 6.1, "k2 / lean")]
)
def test_a_ratio_beyond_twice_the_recorded_one_is_named(stock_to_k2, k2_to_lean, named):
    (sentence,) = regressions(measured(stock_to_k2, k2_to_lean), RECORDED)

    assert named in sentence


def test_a_ratio_that_was_not_measured_is_no_pass():
    assert regressions({}, RECORDED) != []
