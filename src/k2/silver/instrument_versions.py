"""Remember which list of instruments each batch used: a batch that runs again must give the same rows.

A list may be loaded at any time. A batch that has written nothing may use the new list; a batch that was
partly written uses the list that it used before.
"""

import json
from pathlib import Path

from k2.home.atomic_files import replace_durably

_MAX_FILES = 20


class InstrumentVersions:
    """A folder with a file for every batch that used another version than the one before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[int, str] | None = None

    def recall(self, batch: int) -> str | None:
        """Return the version that the batch used if it ever ran; None when none is known."""
        earlier = [first for first in self._versions() if first <= batch]
        return self._versions()[max(earlier)] if earlier else None

    def remember(self, batch: int, version: str) -> None:
        """Store the version, before the batch writes anything."""
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_durably(self._path(batch), json.dumps(version).encode())
        known = self._versions()
        known[batch] = version
        for old in sorted(known)[:-_MAX_FILES]:
            self._path(old).unlink(missing_ok=True)
            del known[old]

    def _versions(self) -> dict[int, str]:
        if self._known is None:
            self._known = {
                int(path.stem): json.loads(path.read_bytes())
                for path in self._folder.glob("*.json")
            }
        return self._known

    def _path(self, batch: int) -> Path:
        return self._folder / f"{batch}.json"
