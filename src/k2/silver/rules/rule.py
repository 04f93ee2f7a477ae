"""A rule: a condition that a row must meet, and the reason that a dead letter carries when it does not."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """``holds`` is DuckDB's SQL over a normalised trade; null counts as broken.

    ``reason`` names the defect and ends up in ``error_reasons`` of the dead letter.
    """

    reason: str
    holds: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.reason):
            raise ValueError(f"rule reason {self.reason!r}: lower-case words joined by _ wanted")
