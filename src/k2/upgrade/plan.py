"""Plan an upgrade: find the tables that are older than their definition, and the Bronze tables to rebuild them from.

An upgrade that was killed goes on where it ended as long as its plan is still the right one; else what
it built is removed and it begins anew.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

import orjson

from k2.bars.table import GOLD_OHLCV
from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.home.atomic_files import replace_durably
from k2.home.half_done_swap import half_done_swap
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.delta import open_table, stored_version
from k2.storage.table import Table


@dataclass(frozen=True)
class OldTable:
    """A stored table that is older than its definition."""

    table: str
    version: int
    wanted: int


@dataclass(frozen=True)
class Plan:
    """Which tables are old, and which version of each exchange's Bronze they are rebuilt from.

    ``instruments`` are the versions of the lists that say what markets' names mean. ``made_by`` is the
    version of K2: another one may decide otherwise.
    """

    tables: list[OldTable]
    bronze: dict[str, tuple[str, int]]  # exchange → the table's id and version
    instruments: dict[str, str]
    made_by: str = field(default_factory=lambda: metadata.version("k2"))


@dataclass(frozen=True)
class Workplace:
    """The folders and files of an upgrade, all under ``K2_HOME/upgrade``."""

    settings: Settings

    @property
    def folder(self) -> Path:
        """Everything that an upgrade has beside the live tables."""
        return self.settings.home / "upgrade"

    @property
    def build(self) -> Settings:
        """The home that the new tables and checkpoints are built in."""
        return self.settings.model_copy(update={"home": self.folder / "build"})

    @property
    def old(self) -> Path:
        """Where the swap moves the old tables and checkpoints to."""
        return self.folder / "old"

    @property
    def moves(self) -> Path:
        """The file that lists the moves of a swap that has begun."""
        return half_done_swap(self.settings)

    @property
    def plan(self) -> Path:
        """The file with the plan of what is in ``build``."""
        return self.folder / "plan.json"


def replaced_tables(exchanges: Sequence[Exchange]) -> list[Table]:
    """Return the tables that are made from Bronze: an upgrade replaces all of them or none."""
    of_each = (silver_trades, duplicates, dead_letters, resolutions)
    return [*(table(e) for e in exchanges for table in of_each), GOLD_TRADES, GOLD_OHLCV]


def old_tables(lake: Path, exchanges: Sequence[Exchange]) -> list[OldTable]:
    """Return the tables that are older than their definition, of those that an upgrade replaces."""
    stored = [(table, open_table(lake, table)) for table in replaced_tables(exchanges)]
    versions = [(table, stored_version(opened)) for table, opened in stored if opened is not None]
    return [
        OldTable(table.name, version, table.version)
        for table, version in versions
        if version < table.version
    ]


def make_plan(settings: Settings, exchanges: Sequence[Exchange]) -> Plan:
    """Return the plan for the tables as they are."""
    lake, bronze, lists = settings.lake, {}, InstrumentLists(settings)
    for exchange in exchanges:
        stored = open_table(lake, bronze_trades(exchange))
        if stored is not None:
            bronze[exchange.name] = (str(stored.metadata().id), int(stored.version()))
    instruments = {e.name: lists.current(e.name).version for e in exchanges}
    return Plan(old_tables(lake, exchanges), bronze, instruments)


def begin(workplace: Workplace, plan: Plan) -> bool:
    """Make sure that ``build`` is of this plan; return whether it was begun before.

    What was built by another plan is removed.
    """
    wanted = orjson.dumps(asdict(plan))
    if workplace.plan.exists() and workplace.plan.read_bytes() == wanted:
        return True
    remove(workplace)
    workplace.folder.mkdir(parents=True)
    replace_durably(workplace.plan, wanted)
    return False


def remove(workplace: Workplace) -> None:
    """Remove what is built; the plan goes first, so that nobody takes a part of it for all."""
    workplace.plan.unlink(missing_ok=True)
    shutil.rmtree(workplace.folder, ignore_errors=True)
