"""Charts for the reports, as Mermaid texts in Markdown: GitHub and most editors draw them."""

from collections.abc import Mapping, Sequence


def bars(title: str, unit: str, values: Mapping[str, float]) -> str:
    """Return a chart of one bar a name."""
    names = ", ".join(f'"{name}"' for name in values)
    return _chart(title, names, unit, "bar", list(values.values()))


def line(title: str, unit: str, first: int, values: Sequence[float]) -> str:
    """Return a chart of values in a row, numbered from ``first``."""
    numbers = ", ".join(f'"{first + place}"' for place in range(len(values)))
    return _chart(title, numbers, unit, "line", values)


def _chart(title: str, names: str, unit: str, kind: str, values: Sequence[float]) -> str:
    listed = ", ".join(f"{value:.4g}" for value in values)
    lines = [
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f"    x-axis [{names}]",
        f'    y-axis "{unit}" 0 --> {max(values, default=0) * 1.1:.4g}',
        f"    {kind} [{listed}]",
        "```",
    ]
    return "\n".join(lines) + "\n"
