import pytest

from benchmarks.charts import bars, line

pytestmark = pytest.mark.unit


def test_a_bar_a_contender_from_zero_on():
    assert bars("CPU", "CPU-seconds", {"stock": 770.9, "k2": 112.5}).splitlines() == [
        "```mermaid",
        "xychart-beta",
        '    title "CPU"',
        '    x-axis ["stock", "k2"]',
        '    y-axis "CPU-seconds" 0 --> 848',
        "    bar [770.9, 112.5]",
        "```",
    ]


def test_a_line_is_numbered():
    chart = line("p99", "seconds", 1, [25.0, 5.25])

    assert 'x-axis ["1", "2"]' in chart
    assert "line [25, 5.25]" in chart
