"""Dead letters judged again: each resolved once, whatever breaks between."""

import uuid

import pytest

from k2.engine.stream import reserved
from k2.engine.table_owner import TableOwner
from k2.engine.table_requests import REPLAY, Request
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.quality.backlog import rows
from k2.quality.balance import balance
from k2.silver.dedup.index import DedupIndex
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.delta import open_table
from tests.support.lake import WRITERS, Crash, Lake
from tests.support.mixed_records import NEW_ID, NEW_SCHEMA, of_new_schema
from tests.support.trades import framed, kraken_raw

pytestmark = pytest.mark.integration

SILVER, DUP, DLQ, LEDGER = (
    table(KRAKEN) for table in (silver_trades, duplicates, dead_letters, resolutions)
)
# Two trades of a schema that nobody knows yet, the second of which also comes readable, and garbage.
RECORDS = (of_new_schema(1), of_new_schema(2), framed(kraken_raw(trade_id=2)), b"garbage")
DECIDED = {"silver": [0, 2], "dup": [1], "dlq": [0, 1, 3], "ledger": [0, 1]}


@pytest.fixture
def lake(spark, settings):
    lake = Lake(spark, settings)
    lake.bronze(KRAKEN, *RECORDS)
    lake.run(lake.silver(KRAKEN))
    lake.registry.schemas[NEW_ID] = NEW_SCHEMA
    return lake


def new_request(options=None):
    return Request(REPLAY, "silver-kraken", options or {}, str(uuid.uuid4()))


def replay(lake, request=None, **options):
    request = request or new_request(options)
    stream = lake.silver(KRAKEN)
    with reserved(stream, lake.settings):
        return TableOwner(stream, lake.settings).execute(request)


def where(lake):
    tables = {"silver": SILVER, "dup": DUP, "dlq": DLQ, "ledger": LEDGER}
    return {name: lake.offsets(table) for name, table in tables.items()}


def kraken_balance(lake):
    (account,) = balance(lake.settings, [KRAKEN])
    return account


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_a_trade_now_enters_silver_or_the_duplicates(lake, kind):
    lake.kind = kind

    result = replay(lake)

    assert where(lake) == DECIDED
    assert (result["trades"], result["duplicates"], result["unresolved"]) == (1, 1, 1)


def test_a_second_replay_finds_nothing_left_to_resolve(lake):
    replay(lake)

    result = replay(lake)

    assert (result["considered"], result["trades"], result["duplicates"]) == (1, 0, 0)
    assert where(lake) == DECIDED


def test_the_ledger_says_when_and_how(lake):
    result = replay(lake)

    entries = lake.rows(LEDGER)
    assert [entry["outcome"] for entry in entries] == ["trade", "duplicate"]
    assert {entry["replay_id"] for entry in entries} == {result["replay_id"]}
    assert all(entry["resolved_at"].date() == entry["resolved_date"] for entry in entries)


def test_a_replay_takes_only_the_reason_that_was_asked_for(lake):
    result = replay(lake, reason="wrong_magic_byte")

    assert (result["considered"], result["unresolved"]) == (1, 1)
    assert lake.offsets(LEDGER) == []


def test_gold_takes_a_replayed_trade_as_any_other(lake):
    lake.run(lake.silver(EXCHANGES[0]), lake.gold())

    replay(lake)
    lake.run(lake.gold())

    assert lake.offsets(GOLD_TRADES) == [0, 2]


def test_the_balance_holds_after_a_replay(lake):
    lake.run(lake.silver(EXCHANGES[0]))
    replay(lake)
    lake.run(lake.gold())

    account = kraken_balance(lake)

    assert account.differences == []
    assert (account.dead_letters, account.resolved) == (1, 2)


@pytest.mark.parametrize("appends", [1, 2, 3])
def test_a_crash_between_two_tables_doubles_and_loses_nothing(lake, appends):
    lake.crash_after = appends
    request = new_request()
    with pytest.raises(Crash):
        replay(lake, request)

    replay(lake, request)

    assert where(lake) == DECIDED


@pytest.mark.parametrize("appends", [1, 2, 3])
def test_the_stream_ends_a_crashed_replay_before_its_next_batch(lake, appends):
    lake.crash_after = appends
    with pytest.raises(Crash):
        replay(lake)
    lake.bronze(KRAKEN, framed(kraken_raw(trade_id=1)), first_offset=4)

    lake.run(lake.silver(KRAKEN))

    assert where(lake) == DECIDED | {"dup": [1, 4]}


def test_a_crash_before_the_index_has_the_trades_is_made_good(lake, monkeypatch):
    def crash(*_):
        raise Crash("before the index")

    with monkeypatch.context() as patch:
        patch.setattr(DedupIndex, "add", crash)
        with pytest.raises(Crash):
            replay(lake)
    lake.bronze(KRAKEN, framed(kraken_raw(trade_id=1)), first_offset=4)

    lake.run(lake.silver(KRAKEN))

    assert where(lake) == DECIDED | {"dup": [1, 4]}


def test_a_later_record_of_a_replayed_trade_is_a_duplicate(lake):
    replay(lake)
    lake.bronze(KRAKEN, framed(kraken_raw(trade_id=1)), first_offset=4)

    lake.run(lake.silver(KRAKEN))

    assert where(lake) == DECIDED | {"dup": [1, 4]}


def test_a_lost_index_is_made_anew_before_a_replay(lake):
    state = lake.silver(KRAKEN).checkpoint(lake.settings)
    for path in state.glob("seen-trades.db*"):
        path.unlink()

    replay(lake)

    assert where(lake) == DECIDED


def test_a_half_written_batch_ends_before_any_replay(lake):
    lake.bronze(KRAKEN, framed(kraken_raw(trade_id=1)), b"more garbage", first_offset=4)
    lake.crash_after = 1
    with pytest.raises(Exception, match="Crash"):
        lake.run(lake.silver(KRAKEN))

    with pytest.raises(UnavailableError, match="half written"):
        replay(lake)
    lake.run(lake.silver(KRAKEN))
    replay(lake)

    assert where(lake) == {"silver": [2, 4], "dup": [0, 1], "dlq": [0, 1, 3, 5], "ledger": [0, 1]}


def test_a_registry_that_does_not_answer_leaves_all_as_it_was(lake):
    before = where(lake)
    lake.registry.down = 1

    with pytest.raises(UnavailableError):
        replay(lake)

    assert where(lake) == before


def test_a_replay_stops_between_steps_when_its_holder_ends(lake):
    holder = TableOwner(lake.silver(KRAKEN), lake.settings)

    result = holder.execute(new_request(), lambda: False)

    assert result is None
    assert lake.offsets(LEDGER) == []


def test_a_resolved_record_counts_once_among_what_the_stream_took(lake):
    replay(lake)

    stored = rows(lake.settings, SILVER, DUP, DLQ) - rows(lake.settings, LEDGER)

    assert stored == len(RECORDS)
    assert open_table(lake.settings.lake, LEDGER).to_pyarrow_table().num_rows == 2
