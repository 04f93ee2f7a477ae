"""Named places at which a test can end the process, or fail, to see what is left.

A test sets :data:`on_reach`; otherwise nothing happens.
"""

from collections.abc import Callable

POINTS = (
    *("run-before-start", "run-started", "run-before-end", "run-ended"),
    *("step-before-work", "step-after-work", "step-recorded"),
    *("wish-before-look", "wish-looked", "outbox-before-dispatch"),
    *("event-before-sent", "event-sent"),
)

on_reach: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Pass a named point."""
    if on_reach is not None:
        on_reach(point)
