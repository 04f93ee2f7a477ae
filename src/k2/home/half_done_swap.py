"""Detect an upgrade that was killed while it replaced old tables by new ones."""

from pathlib import Path

from k2.errors import ConfigError
from k2.settings import Settings


def half_done_swap(settings: Settings) -> Path:
    """Return the file that exists from before the first folder is moved until after the last one is."""
    return settings.home / "upgrade" / "swap.json"


def refuse_half_done_swap(settings: Settings) -> None:
    """Raise when it exists: some tables are new, some old, and some missing.

    Raises:
        ConfigError: says what to do.
    """
    if half_done_swap(settings).exists():
        raise ConfigError(
            f"An upgrade of {settings.home} was interrupted while it swapped tables. "
            "Run `k2 upgrade`: it goes on from there."
        )
