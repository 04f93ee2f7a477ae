"""Kafka and the registry with simulated trades in them, which every contender reads: the same bytes."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.home import Home, new_home


@dataclass(frozen=True)
class Source:
    """Addresses of the services, and the truth about the records."""

    home: Home
    kafka: str
    registry: str
    records: int
    manifest: Path

    def lend(self, folder: Path) -> dict[str, str]:
        """Return K2's settings to read from here, and leave the schemas as `k2 up` would."""
        known = self.home.folder / "registry-cache"
        shutil.copytree(known, folder / "registry-cache", dirs_exist_ok=True)
        return self.addresses()

    def addresses(self) -> dict[str, str]:
        """Return K2's settings to read from here."""
        return {"kafka": self.kafka, "registry": self.registry}


@contextmanager
def preloaded(records: int, *options: str) -> Iterator[Source]:
    """Start Kafka and the registry and fill them; ``options`` are those of ``k2 simulate``."""
    with new_home() as home:
        home.k2("up", "--feed", "none", "--no-streams", "--detach")
        manifest = home.folder / "manifest.jsonl"
        fill(home, records, manifest, *options)
        noted = json.loads((home.folder / "run" / "endpoints.json").read_text())
        yield Source(home, noted["kafka"], noted["registry"], records, manifest)


def fill(home: Home, records: int, manifest: Path, *options: str) -> None:
    """Send simulated records at once, duplicates, late and bad ones among them.

    They happen just before now: a bad record from the future must be later than its broker time.
    """
    # Two exchanges, as the other programs have them.
    size = ("--rate", "max", "--count", str(records), "--coinbase", "0")
    home.k2("simulate", *size, "--manifest", str(manifest), "--json", *options)
