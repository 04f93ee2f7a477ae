"""Remember the offset ranges whose gaps were compared with Kafka, so that they are not compared again."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import orjson

from k2.storage.checkpoints.offset_log import write_lines


@dataclass
class VerifiedOffsets:
    """Ranges in which Bronze has all that a reader of committed records was given.

    A range goes with a fingerprint of Bronze's offsets in it. It counts for as long as Bronze still
    has these offsets and no others.
    """

    path: Path
    _known: dict[str, list[int | str]] = field(default_factory=dict)
    _is_changed: bool = False

    @classmethod
    def load(cls, path: Path) -> "VerifiedOffsets":
        """Read the file; one that is missing, or of another DuckDB with other hashes, is empty."""
        try:
            said = orjson.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return cls(path)
        is_same = isinstance(said, dict) and said.get("duckdb") == duckdb.__version__
        return cls(path, dict(said["ranges"]) if is_same else {})

    def has(self, partition: int, first: int, end: int, count: int, fingerprint: int) -> bool:
        """Tell whether this was verified, of just these offsets."""
        return self._known.get(f"{partition}:{first}") == [end, count, str(fingerprint)]

    def add(self, partition: int, first: int, end: int, count: int, fingerprint: int) -> None:
        """Remember a verified range, in place of a shorter one that began where it does."""
        # As text: JSON's numbers end at 64 bits.
        self._known[f"{partition}:{first}"] = [end, count, str(fingerprint)]
        self._is_changed = True

    def save(self) -> None:
        """Write the file if anything was added."""
        if self._is_changed:
            said = {"duckdb": duckdb.__version__, "ranges": self._known}
            write_lines(self.path, [orjson.dumps(said).decode()])
            self._is_changed = False
