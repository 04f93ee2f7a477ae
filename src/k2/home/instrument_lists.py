"""Lists of instruments in K2_HOME: those that were loaded, and every version that Silver has used."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from k2.errors import ConfigError
from k2.exchanges.instruments import (
    Fact,
    Instruments,
    read_facts,
    shipped_instruments,
    with_newer,
    write_facts,
)
from k2.home.atomic_files import replace_durably
from k2.home.locks import exclusive
from k2.settings import Settings


class InstrumentLists:
    """The lists of a home. Running streams use a newly loaded list from their next batch on."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / "instruments"
        self._locks = settings.run / "locks"
        self._seen: dict[str, tuple[tuple[int, int], Instruments]] = {}

    def current(self, exchange: str) -> Instruments:
        """Return the facts that K2 ships and the loaded ones; where both have a name, the loaded one."""
        path = self._loaded_path(exchange)
        try:
            status = path.stat()
        except FileNotFoundError:
            return shipped_instruments(exchange)
        mark = status.st_mtime_ns, status.st_ino
        seen = self._seen.get(exchange)
        if seen is None or seen[0] != mark:
            facts = with_newer(shipped_instruments(exchange).rows(), self.loaded(exchange))
            seen = self._seen[exchange] = mark, Instruments.of(facts)
        return seen[1]

    def loaded(self, exchange: str) -> list[Fact]:
        """Return the facts that were loaded.

        Raises:
            ConfigError: the file is not as K2 wrote it.
        """
        path = self._loaded_path(exchange)
        try:
            return read_facts(path.read_text("utf-8"), str(path))
        except FileNotFoundError:
            return []

    def load(self, exchange: str, facts: Iterable[Fact], since: str) -> list[tuple[Fact, Fact]]:
        """Add facts; return those that changed a meaning, each with the old meaning.

        Before ``since`` a name keeps its old meaning; the new fact holds from then on.
        """
        with exclusive(self._locks, [f"instruments-{exchange}"], "k2 instruments load"):
            known = with_newer(shipped_instruments(exchange).rows(), self.loaded(exchange))
            newer, changed = merged(known, facts, since)
            self._folder.mkdir(parents=True, exist_ok=True)
            loaded = with_newer(self.loaded(exchange), newer)
            replace_durably(self._loaded_path(exchange), write_facts(loaded).encode())
        return changed

    def keep(self, exchange: str, instruments: Instruments) -> None:
        """Store a version that a batch is about to use; it is never deleted."""
        path = self._version_path(exchange, instruments.version)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(path, write_facts(instruments.rows()).encode())

    def version(self, exchange: str, version: str) -> Instruments:
        """Return a stored version.

        Raises:
            ConfigError: it is not there, or not as K2 wrote it.
        """
        path = self._version_path(exchange, version)
        try:
            kept = Instruments.of(read_facts(path.read_text("utf-8"), str(path)))
        except FileNotFoundError:
            kept = None
        if kept is None or kept.version != version:
            raise ConfigError(
                f"{path} is missing or was changed: a batch of {exchange} that was half written used"
                " it, and must use it again. Put it back from a copy of K2_HOME."
            )
        return kept

    def _loaded_path(self, exchange: str) -> Path:
        return self._folder / f"{exchange}.csv"

    def _version_path(self, exchange: str, version: str) -> Path:
        return self._folder / "versions" / f"{exchange}-{version}.csv"


def merged(
    known: Iterable[Fact], facts: Iterable[Fact], since: str
) -> tuple[list[Fact], list[tuple[Fact, Fact]]]:
    """Return all facts about what ``facts`` speak of, and which of them changed a meaning.

    A fact that says from when to when it holds stands as it is. One that does not, and means
    something else than the one known, holds from ``since`` on, until when the known one does.
    """
    by_key: dict[tuple[str, str], list[Fact]] = {}
    for fact in known:
        by_key.setdefault(fact.key, []).append(fact)
    newer: list[Fact] = []
    changed: list[tuple[Fact, Fact]] = []
    for fact in facts:
        before = by_key.get(fact.key, [])
        open_ones = [other for other in before if not other.until]
        if fact.since or fact.until or not open_ones:
            newer.append(fact)
            continue
        if any(other.meaning == fact.meaning for other in open_ones):
            newer += before
            continue
        newer += [other for other in before if other.until]
        newer += [_ended(other, since) for other in open_ones]
        newer.append(_begun(fact, since))
        changed += [(other, fact) for other in open_ones]
    return newer, changed


def _ended(fact: Fact, since: str) -> Fact:
    return replace(fact, until=since)


def _begun(fact: Fact, since: str) -> Fact:
    return replace(fact, since=since)
