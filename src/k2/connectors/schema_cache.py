"""Cache a registry's schemas on disk, apart for each registry: an id has no meaning at another one."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from k2.avro.schema_tree import parse_tree
from k2.errors import ContractError
from k2.home.atomic_files import replace_whole


@dataclass(frozen=True)
class SchemaCache:
    """A folder of ``<id>.avsc`` files; without a folder nothing is kept."""

    folder: Path | None

    def read(self, schema_id: int) -> str | None:
        """Return a schema's text; None when the registry has not told it yet."""
        if self.folder is None:
            return None
        try:
            return (self.folder / f"{schema_id}.avsc").read_text(encoding="utf-8") or None
        except FileNotFoundError:
            return None

    def read_all(self) -> dict[int, str]:
        """Return all schemas, by id."""
        if self.folder is None or not self.folder.is_dir():
            return {}
        return {
            int(path.stem): path.read_text(encoding="utf-8")
            for path in self.folder.glob("[0-9]*.avsc")
        }

    def write(self, schema_id: int, text: str) -> None:
        """Keep a schema, whole or not at all."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_whole(self.folder / f"{schema_id}.avsc", text.encode())

    def check(self, schema_id: int, told: str, url: str) -> None:
        """Refuse a schema that is not the one kept under its id.

        Raises:
            ContractError: the registry is another one, or was set up again.
        """
        kept = self.read(schema_id)
        if kept is not None and not _reads_alike(kept, told):
            raise ContractError(
                f"Schema {schema_id} of the registry at {url} is not the one that it told before: the"
                " registry is another one or was set up again, and records may be of either. Set"
                f" K2_REGISTRY to the one before; or, once all its records are in Silver, remove"
                f" {self.folder}."
            )


def cache_folder(parent: Path, url: str) -> Path:
    """Return the folder of one registry's schemas below ``parent``, whatever user its URL names."""
    address = urlsplit(url if "://" in url else f"//{url}")
    place = f"{address.netloc.rpartition('@')[2].lower()}{address.path.rstrip('/')}"
    readable = re.sub(r"[^a-z0-9.]+", "-", place)[:60].strip("-.")
    return parent / f"{readable}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _reads_alike(kept: str, told: str) -> bool:
    """Whether two schemas read the same bytes in the same way: docs and layout do not count.

    With what is no whole schema nothing has been read, and it may be replaced.
    """
    try:
        before = parse_tree(kept).canonical_text()
    except ValueError:
        return True
    try:
        return before == parse_tree(told).canonical_text()
    except ValueError:
        return False
