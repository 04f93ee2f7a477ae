from contextlib import contextmanager

import pytest

from benchmarks import ablation, comparison
from benchmarks.contenders import Figures
from benchmarks.source import Source

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_services(monkeypatch):
    @contextmanager
    def preloaded(records, *_):
        yield Source(None, "", "", records, None)

    monkeypatch.setattr(comparison, "preloaded", preloaded)


def contender(name, *cpu):
    costs = iter(cpu)
    order = []

    def run(source):
        order.append(name)
        return Figures(name, source.records, 9, 2.0, next(costs), 10**9, {"gold": 25.0})

    return run


def test_ratios_are_taken_inside_a_round():
    two = {"stock": contender("stock", 60, 90), "k2": contender("k2", 10, 30)}

    measured = comparison.compare(1_000_000, 2, two, two)

    assert comparison.ratios(measured, "stock", "k2") == [6, 3]
    assert comparison.summary(measured)["ratios"] == {
        "stock / k2": {"median": 4.5, "least": 3, "most": 6}
    }


def test_every_round_begins_with_another_contender():
    began = []

    def named(name):
        def run(source):
            began.append(name)
            return Figures(name, source.records, 9, 1.0, 1.0, 1, {})

        return run

    three = {name: named(name) for name in ("stock", "lean", "k2")}
    comparison.compare(1000, 3, three, three)

    assert began[::3] == ["stock", "lean", "k2"]


def test_the_table_has_a_column_a_contender_and_its_ratio():
    two = {"stock": contender("stock", 60), "k2": contender("k2", 10)}

    table = comparison.as_markdown(comparison.compare(1_000_000, 1, two, two))

    assert "| CPU-s per million | 60.0 | 10.0 |" in table
    assert "CPU of stock / k2: **6.0**" in table


def test_a_lever_is_told_as_a_multiple_of_k2_itself():
    pair = {"k2": contender("k2", 10, 10), "big heap": contender("k2: big heap", 11, 13)}

    table = ablation.as_markdown(comparison.compare(1_000_000, 2, pair, pair))

    assert "| big heap | × 1.20 (1.10 – 1.30) |" in table
