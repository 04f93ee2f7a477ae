"""Rules on decoded records: each one broken alone, several at once, and the values at the limits."""

from datetime import timedelta

import pytest

from k2.bronze.table import bronze_trades
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.silver.rules.trade_rules import TRADE_RULES
from k2.silver.transform import to_silver
from tests.support.trades import (
    BINANCE_ID,
    BROKER_TIME,
    INSTRUMENTS,
    KRAKEN_V1_ID,
    KRAKEN_V2_ID,
    READER,
    SCHEMA_TEXT,
    TRADE_SECONDS,
    arrow,
    binance_raw,
    bronze_row,
    bronze_table,
    each,
    framed,
    kraken_raw,
)

pytestmark = pytest.mark.unit

BROKER_SECONDS = TRADE_SECONDS + 1
FIRST_SECOND = 1_230_940_800  # 2009-01-03 00:00 UTC
END_OF_TIME = 9_214_646_400  # 2262-01-01 00:00 UTC
V1_FIELDS = kraken_raw().keys() - {"trade_id", "sequence_in_message"}

# What a record is broken in, and the one reason that must be given.
ALONE = {
    "empty symbol": ({"symbol": ""}, "symbol_empty"),
    "blank symbol": ({"symbol": "   "}, "symbol_empty"),
    "symbol without slash": ({"symbol": "BTCUSD"}, "symbol_unknown"),
    "price of words": ({"price": "abc"}, "price_not_a_number"),
    "price not a number": ({"price": "NaN"}, "price_not_a_number"),
    "endless price": ({"price": "Infinity"}, "price_not_a_number"),
    "empty price": ({"price": ""}, "price_not_a_number"),
    "zero price": ({"price": "0.00"}, "price_not_positive"),
    "minus zero": ({"price": "-0"}, "price_not_positive"),
    "negative price": ({"price": "-1"}, "price_not_positive"),
    "price of 15 places": ({"price": "1.000000000000001"}, "price_does_not_fit"),
    "price of 19 places": ({"price": "1.0000000000000000001"}, "price_does_not_fit"),
    "price of 19 digits": ({"price": "1000000000000000000"}, "price_does_not_fit"),
    "price of 40 digits": ({"price": "9" * 40}, "price_does_not_fit"),
    "quantity of words": ({"quantity": "1,5"}, "quantity_not_a_number"),
    "empty quantity": ({"quantity": ""}, "quantity_not_a_number"),
    "zero quantity": ({"quantity": "0"}, "quantity_not_positive"),
    "negative quantity": ({"quantity": "-0.00000001"}, "quantity_not_positive"),
    "quantity of 11 places": ({"quantity": "0.00000000001"}, "quantity_does_not_fit"),
    "quantity of 40 digits": ({"quantity": "9" * 40}, "quantity_does_not_fit"),
    "unknown side": ({"side": "x"}, "side_unknown"),
    "empty side": ({"side": ""}, "side_unknown"),
    "no time": ({"trade_time_seconds": ""}, "timestamp_missing"),
    "a microsecond before 2009-01-03": (
        {"trade_time_seconds": f"{FIRST_SECOND - 1}.999999"},
        "timestamp_before_2009",
    ),
    "the epoch": ({"trade_time_seconds": "0"}, "timestamp_before_2009"),
    "a microsecond over 5 minutes ahead": (
        {"trade_time_seconds": f"{BROKER_SECONDS + 300}.000001"},
        "timestamp_in_future",
    ),
    "the year 2262": ({"trade_time_seconds": "9223372036.854775"}, "timestamp_in_future"),
    "received in 1970": ({"ingestion_timestamp": 0}, "ingestion_timestamp_invalid"),
    "received at the end of longs": (
        {"ingestion_timestamp": 2**63 - 1},
        "ingestion_timestamp_invalid",
    ),
    "received before longs": ({"ingestion_timestamp": -(2**63)}, "ingestion_timestamp_invalid"),
    "received in 2262": (
        {"ingestion_timestamp": END_OF_TIME * 1_000_000},
        "ingestion_timestamp_invalid",
    ),
}
HOLDING = {
    "nothing odd": {},
    "5 minutes ahead": {"trade_time_seconds": f"{BROKER_SECONDS + 300}.000000"},
    "the first second of 2009-01-03": {"trade_time_seconds": f"{FIRST_SECOND}.000000"},
    "years late": {"trade_time_seconds": "1400000000"},
    "smallest price": {"price": "0.00000000000001"},
    "largest price": {"price": "999999999999999999.99999999999999"},
    "smallest quantity": {"quantity": "1E-10"},
    "largest quantity": {"quantity": "999999999999999999.9999999999"},
    "zeros after 14 places": {"price": "1.000000000000000000000000"},
    "received at the last moment": {"ingestion_timestamp": END_OF_TIME * 1_000_000 - 1},
    "received before it happened": {"ingestion_timestamp": FIRST_SECOND * 1_000_000},
}
SEVERAL = {
    "price and side": (
        {"price": "-5", "side": "x"},
        {"price_not_positive", "side_unknown"},
    ),
    "negative and too fine": (
        {"price": "-1.000000000000001"},
        {"price_not_positive", "price_does_not_fit"},
    ),
    "everything": (
        {
            "symbol": "",
            "price": "",
            "quantity": "-1E-11",
            "side": "",
            "trade_time_seconds": "",
            "ingestion_timestamp": 0,
        },
        {
            "symbol_empty",
            "price_not_a_number",
            "quantity_not_positive",
            "quantity_does_not_fit",
            "side_unknown",
            "timestamp_missing",
            "ingestion_timestamp_invalid",
        },
    ),
    "unknown market from the future": (
        {"symbol": "BTC", "trade_time_seconds": "9000000000"},
        {"symbol_unknown", "timestamp_in_future"},
    ),
}


@pytest.fixture(scope="module")
def judged():
    cases = {
        **{name: change for name, (change, _) in {**ALONE, **SEVERAL}.items()},
        **HOLDING,
    }
    values = [framed(kraken_raw(**change)) for change in cases.values()]
    rows = each(
        to_silver(
            bronze_table(KRAKEN, values),
            KRAKEN,
            {KRAKEN_V2_ID: SCHEMA_TEXT[KRAKEN_V2_ID]},
            READER["kraken"],
            INSTRUMENTS["kraken"],
        )
    )
    names = list(cases)
    return {names[row.offset]: row for row in rows}


@pytest.mark.parametrize("name", ALONE)
def test_a_broken_rule_makes_a_dead_letter_with_that_reason_alone(judged, name):
    _, reason = ALONE[name]

    row = judged[name]

    assert (row.outcome, row.error_type, row.error_reasons) == ("dead_letter", "rule", [reason])


@pytest.mark.parametrize("name", HOLDING)
def test_a_value_within_the_limits_makes_a_trade(judged, name):
    row = judged[name]

    assert (row.outcome, row.error_type, row.error_reasons) == ("trade", None, None)


@pytest.mark.parametrize("name", SEVERAL)
def test_all_broken_rules_are_listed(judged, name):
    _, reasons = SEVERAL[name]

    row = judged[name]

    assert row.outcome == "dead_letter"
    assert set(row.error_reasons) == reasons
    assert len(row.error_reasons) == len(reasons)


def test_every_rule_but_the_unreachable_is_broken_above():
    # A trade always has an id: the exchange's, or its identity's hash. Ids are a range where there are
    # aggregates, which Kraken has not.
    reasons = {reason for _, reason in ALONE.values()}

    # No name of Kraken's is ambiguous or of an instrument that K2 does not take.
    elsewhere = {"symbol_ambiguous", "instrument_not_supported"}
    assert {rule.reason for rule in TRADE_RULES} - reasons == elsewhere | {
        "trade_id_missing",
        "trade_ids_not_a_range",
    }


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("USDTUSD", "symbol_ambiguous"),
        ("NOBODYUSDT", "symbol_unknown"),
        ("BTCUSD_PERP", "instrument_not_supported"),
        ("BTC-260925-60000-C", "instrument_not_supported"),
    ],
)
def test_a_name_that_means_no_instrument_makes_a_dead_letter_that_says_why(symbol, reason):
    value = framed(binance_raw(symbol=symbol, is_best_match=None if "-" in symbol else True))

    (row,) = each(
        to_silver(
            bronze_table(BINANCE, [value]),
            BINANCE,
            {BINANCE_ID: SCHEMA_TEXT[BINANCE_ID]},
            READER["binance"],
            INSTRUMENTS["binance"],
        )
    )

    assert (row.outcome, row.error_reasons) == ("dead_letter", [reason])


def test_a_dead_letter_can_be_repaired_from_its_row(judged):
    row = judged["price of words"]

    assert bytes(row.raw_record) == framed(kraken_raw(price="abc"))
    assert (row.topic, row.partition, row.schema_id) == (KRAKEN.topic, 0, KRAKEN_V2_ID)
    assert row.stage == "silver"
    assert row.error_timestamp == row.kafka_timestamp
    assert str(row.dlq_date) == "2026-07-07"


def test_a_dead_letter_has_no_trade_and_a_trade_no_dead_letter(judged):
    dead, trade = judged["price of words"], judged["nothing odd"]

    assert dead.trade_id is dead.symbol is dead.quantity is dead.exchange_date is None
    assert trade.raw_record is trade.stage is trade.error_reasons is None


def test_a_dead_letter_that_decoded_has_the_id_that_it_would_have_as_a_trade(judged):
    repaired, timeless = judged["price of words"], judged["no time"]

    assert repaired.message_id == judged["nothing odd"].message_id
    assert timeless.message_id is None


def test_the_clock_of_the_broker_and_not_ours_decides_what_is_too_early():
    # The same record is from the future for a broker of 2026 and not for one of 2030.
    value = framed(kraken_raw(trade_time_seconds=str(TRADE_SECONDS + 86_400)))
    brokers = [BROKER_TIME, BROKER_TIME + timedelta(days=1460)]
    rows = [
        bronze_row(KRAKEN, value, offset, kafka_timestamp=time)
        for offset, time in enumerate(brokers)
    ]

    judged = to_silver(
        arrow(bronze_trades(KRAKEN), rows),
        KRAKEN,
        {KRAKEN_V2_ID: SCHEMA_TEXT[KRAKEN_V2_ID]},
        READER["kraken"],
        INSTRUMENTS["kraken"],
    )

    assert {row.offset: row.outcome for row in each(judged)} == {0: "dead_letter", 1: "trade"}


def test_versions_of_a_schema_and_broken_records_go_together_in_one_batch():
    v1 = framed({k: v for k, v in kraken_raw().items() if k in V1_FIELDS}, KRAKEN_V1_ID)
    values = [v1, framed(kraken_raw()), None, framed(kraken_raw(price="")), b"\1"]
    writers = {id_: SCHEMA_TEXT[id_] for id_ in (KRAKEN_V1_ID, KRAKEN_V2_ID)}

    rows = each(
        to_silver(
            bronze_table(KRAKEN, values), KRAKEN, writers, READER["kraken"], INSTRUMENTS["kraken"]
        )
    )

    assert [
        (row.error_type, row.error_reasons) for row in sorted(rows, key=lambda r: r.offset)
    ] == [
        (None, None),
        (None, None),
        ("decode", ["null_value"]),
        ("rule", ["price_not_a_number"]),
        ("decode", ["wrong_magic_byte"]),
    ]


def test_a_side_is_never_missing_on_binance():
    values = [framed(binance_raw(is_buyer_maker=maker)) for maker in (True, False)]

    judged = to_silver(
        bronze_table(BINANCE, values),
        BINANCE,
        {BINANCE_ID: SCHEMA_TEXT[BINANCE_ID]},
        READER["binance"],
        INSTRUMENTS["binance"],
    )

    assert {row.offset: row.side for row in each(judged)} == {0: "SELL", 1: "BUY"}
