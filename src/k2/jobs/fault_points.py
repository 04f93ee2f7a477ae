"""Named places at which a test can end the process, or fail, to see what is left.

A test sets :data:`on_reach`; otherwise nothing happens.
"""

from collections.abc import Callable

POINTS = (
    *("submit-before-commit", "submit-after-commit"),
    *("run-before-start", "run-started"),
    *("step-before-work", "step-after-work", "step-recorded"),
    *("run-before-end", "run-ended"),
    *("pause-before-stand", "event-before-sent", "event-sent"),
)

on_reach: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Pass a named point."""
    if on_reach is not None:
        on_reach(point)
