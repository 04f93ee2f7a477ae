"""Whether an upgrade was killed while it put new tables in the place of old ones."""

from pathlib import Path

from k2.errors import ConfigError
from k2.settings import Settings


def half_done_swap(settings: Settings) -> Path:
    """Return the file that is there from before the first folder is moved until after the last."""
    return settings.home / "upgrade" / "swap.json"


def refuse_half_done_swap(settings: Settings) -> None:
    """Raise where it is there: some tables are new, some old, and some not there at all.

    Raises:
        ConfigError: says what to do.
    """
    if half_done_swap(settings).exists():
        raise ConfigError(
            f"An upgrade of {settings.home} was interrupted while it swapped tables. "
            "Run `k2 upgrade`: it goes on from there."
        )
