"""``k2 upgrade`` in processes that die before one action or another, as ``kill -9`` would have it."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

_RUNS = 200  # more than an upgrade of one exchange has actions


def upgrade_again_and_again(home: Path, exchange: str) -> int:
    """Run the upgrade of one exchange's tables until it ends by itself; return how often it was killed.

    Each run dies before the first durable action that no run before it has come to.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["k2.cli.commands.upgrade", __name__])
    for killed in range(_RUNS):
        run = context.Process(target=upgrade_until_news, args=(home, exchange))
        run.start()
        run.join()
        if run.exitcode != -signal.SIGKILL:
            assert run.exitcode == 0, f"run {killed + 1} ended with {run.exitcode}"
            return killed
    raise AssertionError(f"not done after {_RUNS} runs")


def upgrade_until_news(home: Path, exchange: str) -> None:
    """Upgrade, but die before the first action that ``actions.txt`` does not name."""
    os.environ["K2_HOME"] = str(home)
    from k2.bars import store
    from k2.cli.commands import upgrade
    from k2.exchanges import exchange_named
    from k2.settings import Settings
    from k2.silver.dedup.index import DedupIndex
    from k2.storage.checkpoints.offset_log import OffsetLog
    from k2.storage.writers import arrow
    from k2.upgrade import plan, swap

    notes = home.parent / "actions.txt"
    met = set(notes.read_text().splitlines()) if notes.exists() else set()

    def dying(place: Any, name: str) -> Any:
        real = getattr(place, name)
        return mock.patch.object(place, name, _dying(real, name, met, notes))

    with (
        mock.patch.object(upgrade, "EXCHANGES", (exchange_named(exchange),)),
        dying(arrow, "write_deltalake"),
        dying(store, "write_deltalake"),
        dying(DedupIndex, "commit_batch"),
        dying(OffsetLog, "plan"),
        dying(OffsetLog, "commit"),
        dying(plan, "replace_durably"),
        dying(swap, "replace_durably"),
        dying(Path, "rename"),
        dying(shutil, "rmtree"),
    ):
        upgrade.upgrade_here(Settings.load(), dry_run=False, keep_old=False)


def _dying(real: Callable[..., Any], name: str, met: set[str], notes: Path) -> Callable[..., Any]:
    count = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        # A path says which action it is; of others, how many went before.
        paths = [str(value) for value in args if isinstance(value, Path)]
        action = " ".join((name, *(paths or [str(count)]))).replace("\n", " ")
        if action not in met:
            with notes.open("a") as file:
                file.write(action + "\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    return call
