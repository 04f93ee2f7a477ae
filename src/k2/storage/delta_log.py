"""Read what a Delta commit added from the log's files, which is cheap and needs no Spark."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from k2.storage.writers.writer import AppendResult, TxnId

Action = dict[str, dict[str, Any]]  # an action, by its kind


def log_folder(table: Path) -> Path:
    """Return the folder of a table's log."""
    return table / "_delta_log"


def newest_version(table: Path) -> int:
    """Return the newest version in a table's log; -1 when it has none."""
    versions = [
        int(path.stem) for path in log_folder(table).glob("[0-9]*.json") if path.stem.isdigit()
    ]
    return max(versions, default=-1)


def commit_file(table: Path, version: int) -> Path:
    """Return the path of a version's commit in a table's log."""
    return log_folder(table) / f"{version:020}.json"


def actions_of(table: Path, version: int) -> list[Action] | None:
    """Return the actions of a version's commit; None when the log has no such file."""
    try:
        lines = commit_file(table, version).read_bytes().splitlines()
    except FileNotFoundError:
        return None
    return [orjson.loads(line) for line in lines]


def appended_after(table: Path, version: int) -> AppendResult:
    """Return what the commit after ``version`` added; nothing when there is no such commit."""
    adds = [entry["add"] for entry in actions_of(table, version + 1) or () if "add" in entry]
    stats = [orjson.loads(add["stats"]) for add in adds if add.get("stats")]
    oldest = [time for stat in stats if (time := _time(stat, "minValues"))]
    newest = [time for stat in stats if (time := _time(stat, "maxValues"))]
    return AppendResult(
        sum(stat["numRecords"] for stat in stats),
        min(oldest, default=None),
        max(newest, default=None),
        version + 1 if adds else None,
    )


def txns_between(table: Path, first: int, end: int) -> set[TxnId | None]:
    """Return the transaction ids of the rows that the versions from ``first`` up to, and without, ``end`` added.

    None stands for a commit without transaction id, and for a version that the log no longer has. Commits
    that only moved rows, such as compactions, are left out.
    """
    found: set[TxnId | None] = set()
    for version in range(first, end):
        entries = actions_of(table, version)
        if entries is None:
            found.add(None)
        elif any(_changes_data(entry) for entry in entries):
            ids = [entry["txn"] for entry in entries if "txn" in entry]
            found |= {TxnId(txn["appId"], txn["version"]) for txn in ids} or {None}
    return found


def rows_added(table: Path, version: int, but: int = 0) -> int | None:
    """Return how many rows a version added, without its first ``but`` files; None when the log has no such file.

    Files are counted as a Delta stream counts them; commits that only moved rows add none.
    """
    entries = actions_of(table, version)
    if entries is None:
        return None
    files = [entry["add"] for entry in entries if "add" in entry and _changes_data(entry)]
    return sum(int(orjson.loads(file["stats"])["numRecords"]) for file in files[but:])


def _changes_data(entry: Action) -> bool:
    return any(entry.get(action, {}).get("dataChange", False) for action in ("add", "remove"))


def _time(stat: dict[str, dict[str, str]], bound: str) -> datetime | None:
    text = stat.get(bound, {}).get("kafka_timestamp")
    return None if text is None else datetime.fromisoformat(text)
