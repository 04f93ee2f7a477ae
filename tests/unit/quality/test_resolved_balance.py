"""The balance of a lake whose dead letters were replayed: every planted defect is named."""

import pytest

from k2.exchanges.kraken import KRAKEN
from k2.silver.tables import resolutions
from tests.support.balanced_lake import account, build, differences, named
from tests.support.trades import BROKER_TIME, append

pytestmark = pytest.mark.unit

# Bronze has 0 to 4; dead letters were 1, 3 and 4; 1 became a trade, 4 a duplicate.
REPLAYED = {"silver": (0, 1, 2), "dead": (1, 3, 4), "dup": (4,)}
RESOLVED = ((1, "trade"), (4, "duplicate"))


def filled(folder, ledger=RESOLVED, **tables):
    build(folder, **(REPLAYED | tables))
    rows = [
        {
            "topic": KRAKEN.topic,
            "partition": 0,
            "offset": offset,
            "outcome": outcome,
            "message_id": "m",
            "replay_id": "r",
            "resolved_at": BROKER_TIME,
            "kafka_timestamp": BROKER_TIME,
            "resolved_date": BROKER_TIME.date(),
        }
        for offset, outcome in ledger
    ]
    if rows:
        append(folder, resolutions(KRAKEN), rows)
    return folder


def test_a_resolved_record_counts_where_it_is_now(settings):
    found = account(filled(settings.lake))

    assert found.balanced
    assert (found.silver, found.dead_letters, found.duplicates, found.resolved) == (3, 1, 1, 2)


DEFECTS = {
    "resolved as a trade, not in Silver": (
        {"silver": (0, 2)},
        {
            "in Bronze, but in none of Silver, dead letters and duplicates": named(1),
            "resolved as a trade, but not in Silver": named(1),
        },
    ),
    "resolved as a duplicate, not a duplicate": (
        {"dup": ()},
        {
            "in Bronze, but in none of Silver, dead letters and duplicates": named(4),
            "resolved as a duplicate, but not among the duplicates": named(4),
        },
    ),
    "in Silver, not marked": (
        {"ledger": ((4, "duplicate"),)},
        {"in Silver, dead letters or duplicates more than once": named(1)},
    ),
    "a duplicate, not marked": (
        {"ledger": ((1, "trade"),)},
        {"in Silver, dead letters or duplicates more than once": named(4)},
    ),
    "marked twice": (
        {"ledger": (*RESOLVED, (1, "trade"))},
        {"resolved more than once": named(1)},
    ),
    "marked as what it is not": (
        {"ledger": ((1, "duplicate"), (4, "duplicate"))},
        {"resolved as a duplicate, but not among the duplicates": named(1)},
    ),
    "never a dead letter": (
        {"dead": (3, 4)},
        {"resolved, but never a dead letter": named(1)},
    ),
    "replayed and not in Gold": (
        {"gold": (0, 2)},
        {"in Silver, but not in Gold": named(1)},
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_named(settings, defect):
    planted, expected = DEFECTS[defect]

    found = account(filled(settings.lake, **planted))

    assert differences(found) == expected
