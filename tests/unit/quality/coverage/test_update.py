"""The ledger: rows an hour and market, computed of what changed, and what gaps become in it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.quality.coverage.gaps import Acceptance
from k2.quality.coverage.ledger import Ledger
from k2.quality.coverage.table import OPS_COVERAGE
from k2.quality.coverage.update import CoverageUpdate
from k2.quality.drill.planted_lake import EXCHANGES, HISTORY, NOW, PlantedLake
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table
from tests.support.planted import healthy_lake

pytestmark = pytest.mark.unit

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
TEN, ELEVEN, TWELVE = NOW - 2 * HOUR, NOW - HOUR, NOW
EVER = NOW - timedelta(days=365)
BTC = ("kraken", "BTC-USDT")

Row = dict[str, Any]


@pytest.fixture
def lake(settings: Settings) -> PlantedLake:
    return healthy_lake(settings)


def update(lake: PlantedLake, now: datetime, since: datetime = EVER) -> list[Row]:
    lake.write_until(now)
    return CoverageUpdate(lake.settings, now, EXCHANGES).run(since)


def ledger(lake: PlantedLake, market: tuple[str, str] = BTC) -> dict[datetime, Row]:
    rows = Ledger(lake.settings.lake).rows(TEN - 24 * HOUR, NOW + 24 * HOUR, *market)
    return {row["hour"]: row for row in rows}


def skip_numbers(lake: PlantedLake, after: datetime, by: int) -> None:
    for row in lake.upcoming(KRAKEN, after, "BTC-USDT"):
        number = row["first_trade_id"] + by
        row |= {"trade_id": str(number), "first_trade_id": number, "last_trade_id": number}


def test_every_hour_of_every_market_has_a_row(lake: PlantedLake) -> None:
    update(lake, NOW + 10 * MINUTE)

    rows = Ledger(lake.settings.lake).rows(TEN, NOW)
    assert [(row["exchange"], row["symbol"], row["hour"]) for row in rows] == [
        (exchange, symbol, hour)
        for exchange in ("binance", "kraken")
        for symbol in ("BTC-USDT", "ETH-USDT")
        for hour in (TEN, ELEVEN, TWELVE)
    ]
    whole = ledger(lake)[ELEVEN]
    assert (whole["trades"], whole["observed"], whole["expected"]) == (360, 360, 360)
    assert (whole["first_id"], whole["last_id"], whole["missing"]) == (361, 720, 0)
    assert whole["silence_seconds"] == pytest.approx(10, abs=0.1)
    assert {row["condition"] for row in rows if row["hour"] < TWELVE} == {"available"}
    assert ledger(lake)[TWELVE]["condition"] == "pending"


def test_a_second_run_changes_nothing(lake: PlantedLake) -> None:
    update(lake, NOW + 10 * MINUTE)
    stored = open_table(lake.settings.lake, OPS_COVERAGE)
    assert stored is not None
    before = stored.version()

    again = update(lake, NOW + 10 * MINUTE)

    assert again == []
    stored = open_table(lake.settings.lake, OPS_COVERAGE)
    assert stored is not None
    assert stored.version() == before


def test_missing_numbers_are_a_gap_between_the_trades_around_it(lake: PlantedLake) -> None:
    skip_numbers(lake, NOW + 5 * MINUTE, by=20)

    update(lake, NOW + 10 * MINUTE)

    row = ledger(lake)[TWELVE]
    (gap,) = row["gaps"]
    assert (gap["first_id"], gap["last_id"]) == (751, 770)
    assert gap["start"] < NOW + 5 * MINUTE < gap["end"]
    assert (gap["class"], gap["state"]) == ("unknown", "open")
    assert (row["missing"], row["expected"]) == (20, row["observed"] + 20)
    assert ledger(lake, ("binance", "BTC-USDT"))[TWELVE]["gaps"] == []


def test_what_has_been_missing_for_less_than_a_minute_may_be_on_its_way(lake: PlantedLake) -> None:
    skip_numbers(lake, NOW + 10 * MINUTE - timedelta(seconds=25), by=20)

    update(lake, NOW + 10 * MINUTE)
    young = ledger(lake)[TWELVE]["gaps"]
    update(lake, NOW + 12 * MINUTE)

    assert young == []
    assert len(ledger(lake)[TWELVE]["gaps"]) == 1


def test_an_hour_with_a_gap_is_degraded_when_it_is_over(lake: PlantedLake) -> None:
    skip_numbers(lake, TWELVE + 5 * MINUTE, by=20)
    update(lake, TWELVE + 10 * MINUTE)

    update(lake, TWELVE + HOUR + 10 * MINUTE)

    assert ledger(lake)[TWELVE]["condition"] == "degraded"
    assert ledger(lake, ("binance", "BTC-USDT"))[TWELVE]["condition"] == "available"


def test_trades_that_come_later_repair_a_gap(lake: PlantedLake) -> None:
    late = {
        row["first_trade_id"]: dict(row)
        for row in lake.upcoming(KRAKEN, NOW + 5 * MINUTE, "BTC-USDT")
        if row["first_trade_id"] <= 760
    }
    lake.remove(KRAKEN, lambda r: r["symbol"] == "BTC-USDT" and r["first_trade_id"] in late)
    update(lake, NOW + 10 * MINUTE)
    before = ledger(lake)[TWELVE]

    for number in range(751, 757):  # all but the last four
        lake.add_trade(KRAKEN, late[number] | {"kafka_timestamp": NOW + 11 * MINUTE})
    update(lake, NOW + 12 * MINUTE)

    after = ledger(lake)[TWELVE]
    assert (before["missing"], after["missing"]) == (10, 4)
    assert [(gap["first_id"], gap["last_id"], gap["state"]) for gap in after["gaps"]] == [
        (751, 756, "repaired"),
        (757, 760, "open"),
    ]


def test_a_gap_over_hours_is_counted_once_and_named_in_each(lake: PlantedLake) -> None:
    lake = _with_an_outage(lake)

    update(lake, NOW + 10 * MINUTE)

    rows = ledger(lake)
    assert [rows[hour]["condition"] for hour in (TEN, ELEVEN)] == ["degraded", "missing"]
    assert [len(rows[hour]["gaps"]) for hour in (TEN, ELEVEN, TWELVE)] == [1, 1, 1]
    assert [rows[hour]["missing"] for hour in (TEN, ELEVEN)] == [0, 0]
    assert rows[TWELVE]["missing"] == rows[TWELVE]["expected"] - rows[TWELVE]["observed"] > 360


def test_an_hour_without_trades_whose_numbers_go_on_is_no_gap(lake: PlantedLake) -> None:
    lake = _with_an_outage(lake)
    for row in lake.upcoming(KRAKEN, EVER, "BTC-USDT"):
        if row["timestamp"] > ELEVEN:
            number = row["first_trade_id"] - 546  # 181 follows on 180
            row |= {"trade_id": str(number), "first_trade_id": number, "last_trade_id": number}

    update(lake, NOW + 10 * MINUTE)

    rows = ledger(lake)
    assert [rows[hour]["condition"] for hour in (TEN, ELEVEN)] == ["available", "available"]
    assert (rows[ELEVEN]["trades"], rows[ELEVEN]["expected"]) == (0, 0)


def test_an_accepted_gap_stays_accepted_when_its_hour_is_computed_again(lake: PlantedLake) -> None:
    skip_numbers(lake, TWELVE + 5 * MINUTE, by=20)
    update(lake, TWELVE + HOUR + 10 * MINUTE)
    now = TWELVE + HOUR + 11 * MINUTE
    change = CoverageUpdate(lake.settings, now, EXCHANGES)

    change.ledger.accept(BTC, Acceptance("the exchange was down", 751, 770), now)
    change.reconsider(BTC, TWELVE + 5 * MINUTE, TWELVE + 6 * MINUTE)
    accepted = ledger(lake)[TWELVE]
    update(lake, TWELVE + HOUR + 20 * MINUTE)

    for row in (accepted, ledger(lake)[TWELVE]):
        assert (row["condition"], row["gaps"][0]["state"]) == ("available", "accepted")
        assert row["gaps"][0]["reason"] == "the exchange was down"
        assert row["missing"] == 20


def test_a_silent_market_of_a_feed_that_works_is_pending_and_a_dead_feed_is_missing(
    lake: PlantedLake,
) -> None:
    lake.remove(KRAKEN, lambda row: row["timestamp"] > NOW)
    lake.remove(BINANCE, lambda row: row["timestamp"] > NOW and row["symbol"] == "BTC-USDT")

    update(lake, TWELVE + HOUR + 10 * MINUTE)

    assert ledger(lake)[TWELVE]["condition"] == "missing"
    assert ledger(lake, ("binance", "BTC-USDT"))[TWELVE]["condition"] == "pending"


def test_dead_letters_are_counted_by_the_market_that_their_key_names(lake: PlantedLake) -> None:
    for number in range(3):
        (row,) = list(lake.upcoming(KRAKEN, NOW, "BTC-USDT"))[:1]
        offset = 100_000 + number
        letter = dict(row) | {"offset": offset, "kafka_timestamp": NOW + MINUTE}
        lake.add_dead_letter(KRAKEN, letter | ({"key": b"no such"} if number else {}), "broken")

    update(lake, NOW + 10 * MINUTE)

    assert ledger(lake)[TWELVE]["dead_letters"] == 1
    assert ledger(lake, ("kraken", ""))[TWELVE]["dead_letters"] == 2


def test_the_number_of_a_dead_letter_is_not_missing(lake: PlantedLake) -> None:
    """Its record came: it is no gap, but the row counts it as what it is."""
    code = "0123456789abcdef"
    for row in lake.upcoming(KRAKEN, NOW, "BTC-USDT"):
        row["message_id"] = f"kraken-20260901-{code}{row['first_trade_id']:016x}"
    bad = next(r for r in lake.upcoming(KRAKEN, NOW, "BTC-USDT") if r["first_trade_id"] == 730)
    letter = dict(bad)
    lake.remove(KRAKEN, lambda r: r["symbol"] == "BTC-USDT" and r["first_trade_id"] in (730, 731))
    lake.add_dead_letter(KRAKEN, letter, "price_not_positive")

    update(lake, NOW + 10 * MINUTE)

    row = ledger(lake)[TWELVE]
    assert [(gap["first_id"], gap["last_id"]) for gap in row["gaps"]] == [(731, 731)]
    assert (row["missing"], row["dead_letters"], row["observed"]) == (1, 1, 58)


def test_a_trade_that_silver_lost_is_not_missing_where_gold_has_it(lake: PlantedLake) -> None:
    """The balance tells of it; here one more is missing from both."""
    planned = {row["first_trade_id"]: row for row in lake.upcoming(KRAKEN, NOW, "BTC-USDT")}
    lake.delete(silver_trades(KRAKEN), planned[730]["message_id"])
    lake.remove(KRAKEN, lambda r: r["symbol"] == "BTC-USDT" and r["first_trade_id"] == 740)

    update(lake, NOW + 10 * MINUTE)

    row = ledger(lake)[TWELVE]
    assert [(gap["first_id"], gap["last_id"]) for gap in row["gaps"]] == [(740, 740)]
    assert (row["missing"], row["observed"]) == (1, 59)
    assert (row["trades"], row["gold_trades"]) == (58, 59)


def test_a_late_trade_of_an_earlier_hour_leaves_no_gap_where_its_number_would_be(
    lake: PlantedLake,
) -> None:
    for row in lake.upcoming(KRAKEN, NOW, "BTC-USDT"):
        if row["first_trade_id"] in (730, 740):
            row["timestamp"] = ELEVEN + MINUTE
            row["exchange_hour"] = ELEVEN.hour

    update(lake, NOW + 10 * MINUTE)

    rows = ledger(lake)
    assert [rows[hour]["gaps"] for hour in (TEN, ELEVEN, TWELVE)] == [[], [], []]
    assert (rows[ELEVEN]["observed"], rows[ELEVEN]["last_id"]) == (362, 740)
    assert (rows[TWELVE]["observed"], rows[TWELVE]["missing"]) == (58, 0)


def test_of_many_late_trades_none_leaves_a_gap_in_either_hour(
    lake: PlantedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are more than a row names, and one number is missing for good."""
    for module in ("hour_query", "timeline"):
        monkeypatch.setattr(f"k2.quality.coverage.{module}.MAX_GAPS", 20)
    lake.remove(KRAKEN, lambda r: r["symbol"] == "BTC-USDT" and r["first_trade_id"] == 850)
    for row in lake.upcoming(KRAKEN, NOW, "BTC-USDT"):
        if row["first_trade_id"] in range(731, 891, 2):
            row["timestamp"] = ELEVEN + 30 * MINUTE
            row["exchange_hour"] = ELEVEN.hour

    update(lake, NOW + 70 * MINUTE)

    rows = [ledger(lake)[hour] for hour in (ELEVEN, TWELVE)]
    gaps = [[(gap["first_id"], gap["last_id"]) for gap in row["gaps"]] for row in rows]
    assert gaps == [[(850, 850)], []]
    assert [row["missing"] for row in rows] == [1, 0]
    assert [row["observed"] for row in rows] == [440, 99]
    assert [row["condition"] for row in rows] == ["degraded", "available"]


def test_an_hour_that_is_over_waits_twenty_minutes_to_be_computed_again(lake: PlantedLake) -> None:
    """Late trades touch it in each run. What the hour in hand lacks and it has is seen at once."""
    late = (730, 731)
    numbered = {row["first_trade_id"]: row for row in lake.upcoming(KRAKEN, NOW, "BTC-USDT")}
    later = [dict(numbered[number]) for number in late]
    lake.remove(KRAKEN, lambda r: r["symbol"] == "BTC-USDT" and r["first_trade_id"] in late)
    update(lake, NOW + 11 * MINUTE)
    found = []
    for minutes, row in zip((15, 20), later, strict=True):
        at = {"timestamp": ELEVEN + MINUTE, "exchange_hour": ELEVEN.hour}
        lake.add_trade(KRAKEN, row | at | {"kafka_timestamp": NOW + minutes * MINUTE})
        now = NOW + (minutes + 1) * MINUTE
        update(lake, now, now - 4 * MINUTE)
        found.append(ledger(lake))
    now = NOW + 40 * MINUTE
    update(lake, now, now - 4 * MINUTE)
    found.append(ledger(lake))

    assert [rows[ELEVEN]["trades"] for rows in found] == [360, 360, 362]
    assert [rows[TWELVE]["missing"] for rows in found] == [1, 0, 0]


def test_a_record_that_nobody_could_read_explains_the_number_that_is_missing(
    lake: PlantedLake,
) -> None:
    bad = next(r for r in lake.upcoming(KRAKEN, NOW, "BTC-USDT") if r["first_trade_id"] == 730)
    letter = dict(bad) | {"message_id": None}
    gone = {730, 740}
    lake.remove(KRAKEN, lambda r: r["symbol"] == "BTC-USDT" and r["first_trade_id"] in gone)
    lake.add_dead_letter(KRAKEN, letter, "no_avro")

    update(lake, NOW + 10 * MINUTE)

    row = ledger(lake)[TWELVE]
    assert [(gap["first_id"], gap["last_id"]) for gap in row["gaps"]] == [(740, 740)]
    assert (row["missing"], row["dead_letters"]) == (1, 1)


def test_gold_behind_silver_is_degraded_until_it_has_all(lake: PlantedLake) -> None:
    behind = [row for row in lake.pending["gold_trades"] if row["timestamp"] > TWELVE + 20 * MINUTE]
    lake.pending["gold_trades"] = [r for r in lake.pending["gold_trades"] if r not in behind]
    update(lake, TWELVE + HOUR + 10 * MINUTE)
    before = ledger(lake)[TWELVE]["condition"]

    lake.pending["gold_trades"] = behind
    update(lake, TWELVE + HOUR + 20 * MINUTE)

    assert (before, ledger(lake)[TWELVE]["condition"]) == ("degraded", "available")


def test_gold_is_not_behind_by_what_came_a_moment_ago(lake: PlantedLake) -> None:
    """Of an hour that is over: late trades come to it all the time, and Silver has each first."""
    planned = list(lake.upcoming(KRAKEN, NOW + 20 * MINUTE, "BTC-USDT"))
    late = planned[0]
    for row in planned:
        if row["message_id"] == late["message_id"]:
            row |= {"timestamp": ELEVEN + MINUTE, "exchange_hour": ELEVEN.hour}
    lake.delete(GOLD_TRADES, late["message_id"])

    update(lake, late["ingestion_timestamp"] + timedelta(seconds=2))
    young = ledger(lake)[ELEVEN]
    update(lake, late["ingestion_timestamp"] + 22 * MINUTE)
    old = ledger(lake)[ELEVEN]

    assert [row["condition"] for row in (young, old)] == ["available", "degraded"]
    assert [row["trades"] - row["gold_trades"] for row in (young, old)] == [0, 1]


def test_a_home_without_tables_has_an_empty_ledger(settings: Settings) -> None:
    assert CoverageUpdate(settings, NOW, EXCHANGES).run(NOW - HISTORY) == []


def _with_an_outage(lake: PlantedLake) -> PlantedLake:
    """Half of the hour 10, all of 11 and a minute of 12 are missing of one market."""
    fresh = PlantedLake.healthy(Settings.load(home=lake.settings.home.with_name("outage")))
    fresh.remove(
        KRAKEN,
        lambda row: row["symbol"] == "BTC-USDT"
        and TEN + 30 * MINUTE < row["timestamp"] < TWELVE + MINUTE,
    )
    return fresh
