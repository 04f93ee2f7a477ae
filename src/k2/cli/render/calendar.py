"""A market's hours as a calendar: a line a day, a sign an hour."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from rich.text import Text

from k2.quality.coverage.states import Condition

# The signs differ without colour too: a calendar may be piped, or printed.
SIGNS = {
    Condition.AVAILABLE: ("█", "green"),
    Condition.DEGRADED: ("▒", "yellow"),
    Condition.PENDING: ("·", "dim"),
    Condition.MISSING: ("×", "red"),
}
_MARGIN = 12
LEGEND = Text.assemble(
    *(
        part
        for condition, (sign, style) in SIGNS.items()
        for part in ((sign, style), f" {condition}  ")
    ),
    "blank: before the first trade",
)


def calendar(title: str, rows: Sequence[Mapping[str, Any]]) -> list[Text]:
    """Return the lines of a calendar, 60 columns wide: two an hour, days from old to new."""
    days: dict[date, dict[int, Condition]] = defaultdict(dict)
    for row in rows:
        days[row["hour"].date()][row["hour"].hour] = Condition(row["condition"])
    hours = "".join(f"{hour:<6}" for hour in range(0, 24, 3)).rstrip()
    lines = [Text(title, "bold"), Text(" " * _MARGIN + hours)]
    for day, of_day in sorted(days.items()):
        line = Text(f"{day}  ")
        for hour in range(24):
            sign, style = SIGNS[of_day[hour]] if hour in of_day else (" ", "")
            line.append(sign * 2, style)
        line.rstrip()
        lines.append(line)
    return lines
