"""Upkeep as a person does it: dead letters replayed, Silver rebuilt, tables compacted and cleaned."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from k2.avro.schema_files import schema_text
from k2.exchanges.binance import BINANCE
from tests.checker.manifest import check_manifest
from tests.checker.sent import Sent, facts_of
from tests.support.home import K2Home, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

DAY = timedelta(days=1).total_seconds()
UNKNOWN_ID = 2_000_000_000
READ_ALL = ("bronze_binance_trades", "silver_binance_trades", "gold_trades")


@pytest.fixture
def running(home: K2Home) -> Iterator[K2Home]:
    """Streams at work on half a day, long closed, whose trades came in several pieces."""
    home.run("up", "--feed", "none", "--detach")
    for _ in range(3):
        before = home.rows("gold_trades")
        simulate(home, 3_000, "12h", "--bad", "0.05")
        wait_until(lambda before=before: home.rows("gold_trades") > before)
    yield home
    home.run("down")


def simulate(home: K2Home, count: int, span: str, *more: object) -> None:
    """Send trades of two days ago."""
    start = int((time.time() - 2 * DAY) * 1_000_000)
    arguments = ("--rate", "max", "--count", count, "--span", span, "--start", start, *more)
    home.run("simulate", *arguments, "--manifest", manifest_of(home))


def manifest_of(home: K2Home) -> Path:
    return home.folder.with_name("manifest.jsonl")


def facts(home: K2Home) -> list[Sent]:
    return list(facts_of(manifest_of(home)))


def test_tables_are_maintained_beside_running_streams_and_nothing_is_lost(running: K2Home) -> None:
    home = running
    feed = home.start(
        *("simulate", "--rate", "300/s", "--for", "20s", "--manifest", f"{manifest_of(home)}.2")
    )

    done = home.json("maintain")["tables"]

    for name in ("silver_binance_trades", "silver_kraken_trades", "gold_trades"):
        assert done[name]["partitions_compacted"] > 0, done
        assert done[name]["files_deleted"] == 0  # an hour has to pass first
    assert done["gold_trades"]["after"]["files"] < done["gold_trades"]["before"]["files"]

    feed.wait(120)
    home.run("drain")
    manifests = [manifest_of(home), Path(f"{manifest_of(home)}.2")]
    assert check_manifest(home.folder, manifests) == []
    assert home.json("balance")["balanced"] is True


def test_streams_that_are_left_alone_remove_what_nothing_needs(home: K2Home) -> None:
    home.environment["K2_KEPT_VERSIONS"] = "1"
    home.run("up", "--feed", "none", "--detach")
    manifest = Path(f"{manifest_of(home)}.2")
    feed = home.start("simulate", "--rate", "100/s", "--for", "600s", "--manifest", manifest)
    wait_until(lambda: all(version(home, name) > 110 for name in READ_ALL))
    feed.terminate()
    feed.wait(120)
    home.run("drain")
    before = {name: data_files(home, name) for name in READ_ALL}

    hours_pass(home)
    # Gold's hours leave the most files: they have been merged, and what was replaced goes.
    wait_until(lambda: len(data_files(home, "gold_trades")) < len(before["gold_trades"]))

    assert "maintenance_done" in (home.folder / "logs" / "k2.log").read_text()
    for name in READ_ALL:
        assert data_files(home, name) >= live_files(home, name)
    simulate(home, 2_000, "1h")
    home.run("drain")
    assert check_manifest(home.folder, [manifest, manifest_of(home)]) == []

    home.run("down")
    home.run("up", "--feed", "none", "--detach")
    simulate(home, 1_000, "1h")
    home.run("drain")
    assert check_manifest(home.folder, [manifest, manifest_of(home)]) == []
    home.run("down")


def test_dead_letters_are_listed_and_those_of_a_schema_that_is_known_now_replayed(
    running: K2Home,
) -> None:
    home = running
    home.run("drain")
    bad = Counter(fact.exchange for fact in facts(home) if fact.kind == "bad")
    of_unknown_id = Counter(f.exchange for f in facts(home) if f.defect == "unknown_schema_id")
    unknown = of_unknown_id["binance"]

    letters = home.json("dlq", "list")

    assert count(letters, resolved=False) == bad
    (cluster,) = (c for c in letters if c["schema_id"] == UNKNOWN_ID and c["exchange"] == "binance")
    assert cluster["count"] == unknown > 0
    (shown,) = home.json("dlq", "show", cluster["sample"])
    assert bytes.fromhex(shown["hex"])[:5] == b"\0" + UNKNOWN_ID.to_bytes(4, "big")
    assert shown["decoded"] is None
    before = home.rows("gold_trades")

    learn_schema(home)
    (reason,) = cluster["error_reasons"]
    (first,) = home.json("dlq", "replay", "--exchange", "binance", "--reason", reason)
    (second,) = home.json("dlq", "replay", "--exchange", "binance", "--reason", reason)

    assert (first["considered"], first["unresolved"]) == (unknown, 0)
    assert first["trades"] + first["duplicates"] == unknown
    assert (second["considered"], second["trades"]) == (0, 0)
    home.run("drain")
    assert home.rows("gold_trades") == before + first["trades"]
    assert home.json("balance")["balanced"] is True
    letters = home.json("dlq", "list")
    assert count(letters, resolved=True) == {"binance": unknown}
    assert count(letters, resolved=False) == bad - Counter(binance=unknown)

    assert home.json("rebuild", "silver", "--exchange", "binance", "--dry-run")["equal"] is True
    # Kraken's of that id were not replayed: now they are known not to fit, and nothing else differs.
    compared = home.json("rebuild", "silver", "--exchange", "kraken", "--dry-run", code=1)
    assert {
        (table["table"], table["added"], table["removed"], *table["changed"].items())
        for table in compared["tables"]
    } == {
        ("silver_kraken_trades", 0, 0),
        ("dup_kraken_trades", 0, 0),
        ("dlq_kraken_trades", 0, 0, ("error_reasons", of_unknown_id["kraken"])),
    }


def count(letters: list[dict[str, Any]], resolved: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for cluster in letters:
        if cluster["resolved"] is resolved:
            counts[cluster["exchange"]] += cluster["count"]
    return counts


def learn_schema(home: K2Home) -> None:
    """As if the registry had told the schema of the id that was unknown."""
    cached = home.folder / "registry-cache" / f"{UNKNOWN_ID}.avsc"
    cached.write_text(schema_text(BINANCE.reader_schema))


def data_files(home: K2Home, table: str) -> set[str]:
    """A table's data files; ``_packing`` and other scratch folders come and go beside them."""
    top, found = home.folder / "lake" / table, set()
    for folder, below, names in os.walk(top):  # which bears a folder that has just gone
        below[:] = [name for name in below if not name.startswith("_")]
        parquet = (Path(folder, name) for name in names if name.endswith(".parquet"))
        found |= {str(path.relative_to(top)) for path in parquet}
    return found


def live_files(home: K2Home, table: str) -> set[str]:
    adds = DeltaTable(str(home.folder / "lake" / table)).get_add_actions(flatten=True)
    return set(adds["path"].to_pylist())


def version(home: K2Home, table: str) -> int:
    folder = home.folder / "lake" / table
    return DeltaTable(folder).version() if DeltaTable.is_deltatable(str(folder)) else 0


def hours_pass(home: K2Home) -> None:
    """Date every file, and the last upkeep, two hours back."""
    back = time.time() - 7200
    for stream in home.json("status")["streams"]:
        noted = home.folder / "run" / "maintenance" / stream["name"]
        noted.parent.mkdir(exist_ok=True)
        noted.touch()
    for top in ("lake", "run/maintenance"):
        for folder, _, names in os.walk(home.folder / top):
            for name in names:
                with suppress(FileNotFoundError):  # streams run, and so does their upkeep
                    os.utime(Path(folder, name), (back, back))
