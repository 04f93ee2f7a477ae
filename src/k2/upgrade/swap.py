"""Replace the old tables and checkpoints by the new ones.

The list of moves is written before the first of them. As long as it is there no stream starts, and a
swap that was killed goes on with the moves that are left.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from k2.errors import ContractError
from k2.home.atomic_files import replace_durably
from k2.upgrade.plan import Workplace, remove


@dataclass(frozen=True)
class Move:
    """A folder that goes from ``built`` to ``live``, and what was there before to ``old``.

    All are below ``K2_HOME``.
    """

    built: str
    live: str
    old: str


def begin_swap(workplace: Workplace, tables: Sequence[str], apps: Sequence[str]) -> None:
    """Write down what will be moved: from here on the upgrade can only go on."""
    build, settings = workplace.build, workplace.settings
    folders = [
        *((build.lake / name, settings.lake / name, workplace.old / name) for name in tables),
        *(
            (build.checkpoint(app), settings.checkpoint(app), workplace.old / "checkpoints" / app)
            for app in apps
        ),
    ]
    moves = [
        Move(*(str(folder.relative_to(settings.home)) for folder in three)) for three in folders
    ]
    content = orjson.dumps([asdict(move) for move in moves], option=orjson.OPT_INDENT_2)
    replace_durably(workplace.moves, content)


def finish_swap(workplace: Workplace, keep_old: bool) -> None:
    """Make the moves that are not made, then remove what is no longer wanted.

    Raises:
        ContractError: somebody put something where a move puts a folder.
    """
    for fields in orjson.loads(workplace.moves.read_bytes()):
        _make(workplace.settings.home, Move(**fields))
    if keep_old and workplace.old.exists():
        workplace.old.rename(_free_name(workplace.settings.home / "before-upgrade"))
    workplace.plan.unlink(missing_ok=True)
    shutil.rmtree(workplace.build.home, ignore_errors=True)
    shutil.rmtree(workplace.old, ignore_errors=True)
    workplace.moves.unlink()
    remove(workplace)


def _make(home: Path, move: Move) -> None:
    built, live, old = home / move.built, home / move.live, home / move.old
    if not built.exists():
        return
    if live.exists():
        if old.exists():
            raise ContractError(
                f"{live} is there again although the upgrade had moved it to {old}. Move one of the"
                " two away, then run `k2 upgrade` again."
            )
        old.parent.mkdir(parents=True, exist_ok=True)
        live.rename(old)
    live.parent.mkdir(parents=True, exist_ok=True)
    built.rename(live)


def _free_name(path: Path) -> Path:
    number = 1
    while (found := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return found
