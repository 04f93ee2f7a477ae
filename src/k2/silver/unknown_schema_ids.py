"""Schema ids that the registry did not know when a batch first ran, kept so that a retried batch gives the same rows.

A batch that is repeated after a crash gives the same rows only if the registry gives the same answers. Known
schemas never change. Unknown ids may become known, so they are stored with the batch.
"""

import json
from pathlib import Path

from k2.home.atomic_files import replace_durably

_KEPT = 20


class UnknownSchemaIds:
    """A folder with a file for every recent batch that had ids which the registry did not know."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, batch: int) -> set[int]:
        """Return the ids that were unknown when the batch first ran; empty if it never did."""
        try:
            return set(json.loads(self._path(batch).read_bytes()))
        except FileNotFoundError:
            return set()

    def remember(self, batch: int, ids: set[int]) -> None:
        """Store the ids, before the batch writes anything."""
        if not ids:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(sorted(self.recall(batch) | ids)).encode()
        replace_durably(self._path(batch), content)
        for old in sorted(self._folder.glob("*.json"), key=lambda path: int(path.stem))[:-_KEPT]:
            old.unlink(missing_ok=True)

    def _path(self, batch: int) -> Path:
        return self._folder / f"{batch}.json"
