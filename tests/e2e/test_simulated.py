"""The closing proof: a simulated stream through all of K2, and every table exactly as it was sent.

``make prove`` runs it with two million records; ``SIMULATED_RECORDS`` sets another number.
"""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from k2.feeds.simulator.bad_records import BAD_KINDS
from k2.settings import Settings
from tests.checker.manifest import check_manifest
from tests.checker.sent import Sent, facts_of
from tests.support.home import K2Home

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(7200)]

RECORDS = int(os.environ.get("SIMULATED_RECORDS", "50000"))
PATIENCE = 600 + RECORDS / 500  # seconds; twenty times what an idle machine of two cores needs
HOUR_US = 3_600_000_000

# Half a day of trades, so that there are hours for duplicates to be older than.
SIMULATION = (
    *("--rate", "max", "--count", RECORDS, "--span", "12h", "--kraken", "0.3"),
    *("--duplicates", "0.02", "--old", "0.5", "--late", "0.01", "--bad", "0.005"),
)


@pytest.fixture
def patient_home(home: K2Home) -> K2Home:
    home.patience = PATIENCE
    # What K2 comes with, not what other tests make do with.
    home.environment["K2_DRIVER_MEMORY"] = Settings.load().driver_memory
    return home


def test_every_table_holds_exactly_what_was_sent(patient_home: K2Home, tmp_path: Path) -> None:
    home, manifest = patient_home, tmp_path / "manifest.jsonl"

    home.run("up", "--feed", "none", "--detach")
    home.json("simulate", *SIMULATION, "--manifest", manifest)
    drained = home.json("drain", "--timeout", f"{PATIENCE:.0f}s")

    require_the_wanted_mixture(list(facts_of(manifest)))
    assert set(drained["backlog"].values()) == {0}
    assert check_manifest(home.folder, [manifest]) == []
    assert home.json("balance")["balanced"] is True

    for exchange in ("binance", "kraken", "coinbase"):
        compared = home.json("rebuild", "silver", "--exchange", exchange, "--dry-run")
        assert (compared["equal"], compared["pending"]) == (True, 0), compared

    home.run("down")

    home.require_nothing_left()
    assert home.json("bars", "--rebuild")["replaced"] == {}


def require_the_wanted_mixture(facts: list[Sent]) -> None:
    """2 % duplicates, half of them of trades over an hour old; 1 % late; 0.5 % bad of every kind."""
    kinds = Counter(fact.kind for fact in facts)
    for kind, share in {"duplicate": 0.02, "late": 0.01, "bad": 0.005}.items():
        assert kinds[kind] / len(facts) == pytest.approx(share, rel=0.25), json.dumps(kinds)
    old = sum(
        (fact.broker_time_ms or 0) * 1000 - fact.time_us > HOUR_US
        for fact in facts
        if fact.kind == "duplicate"
    )
    assert old / kinds["duplicate"] == pytest.approx(0.5, abs=0.05)
    assert {fact.defect for fact in facts if fact.defect} == {kind.name for kind in BAD_KINDS}
