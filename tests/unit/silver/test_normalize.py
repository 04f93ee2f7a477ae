"""Raw records to V2 trades, field by field, with the ugly ones."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pytest

from k2.avro.decode import decode
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.silver.normalize import normalize
from k2.silver.rules.apply_rules import apply_rules
from k2.silver.rules.trade_rules import TRADE_RULES
from k2.silver.transform import to_silver
from tests.support.trades import (
    BINANCE_ID,
    INSTRUMENTS,
    KRAKEN_V1_ID,
    KRAKEN_V2_ID,
    NEWEST_ID,
    READER,
    SCHEMA_TEXT,
    TRADE_SECONDS,
    TRADE_TIME,
    binance_raw,
    bronze_table,
    each,
    framed,
    kraken_raw,
    raw,
)

pytestmark = pytest.mark.unit

LONGEST, SHORTEST = 2**63 - 1, -(2**63)


def kraken_v1(**changes):
    trade = kraken_raw(symbol="XBT/USD", **changes)
    return framed({k: v for k, v in trade.items() if k in V1_FIELDS}, KRAKEN_V1_ID)


V1_FIELDS = kraken_raw().keys() - {"trade_id", "sequence_in_message"}


def binance(**changes):
    return framed(binance_raw(**changes))


def kraken(**changes):
    return framed(kraken_raw(**changes))


BINANCE_VALUES = {
    "spot": binance(),
    "taker buys": binance(is_buyer_maker=False),
    "aggregate": binance(event_type="aggTrade", is_best_match=None),
    "aggregate on spot": binance(event_type="aggTrade"),
    "futures": binance(is_best_match=None),
    "another symbol": binance(symbol="ETHUSDT"),
    "microseconds": binance(trade_time_ms=TRADE_SECONDS * 1_000_000 + 123_456),
    "last millisecond": binance(trade_time_ms=TRADE_SECONDS * 1000 + 999),
    "tiny price": binance(symbol="PEPEUSDT", price="1E-8", quantity="123456789.5"),
    "bitcoin quote": binance(symbol="ETHBTC"),
    "longest quote wins": binance(symbol="BTCFDUSD"),
    "lira": binance(symbol="USDTTRY"),
    "digits in the base": binance(symbol="1000SHIBUSDT"),
    "line break in the base": binance(symbol="BTC\nUSDT"),
    "line break at the end": binance(symbol="BTCUSDT\n"),
    "quote alone": binance(symbol="USDT"),
    "no known quote": binance(symbol="BTCXYZ"),
    "lower case": binance(symbol="btcusdt"),
    "negative id": binance(trade_id=-1),
    "largest id": binance(trade_id=LONGEST),
    "smallest id": binance(trade_id=SHORTEST),
    "fifteen places": binance(price="0.000000000000001"),
    "ten digits": binance(price="9999999999.99999999"),
    "nineteen digits": binance(price="1000000000000000000"),
    "no number": binance(price="NaN", quantity=""),
    "ingestion far ahead": binance(ingestion_timestamp=LONGEST),
    "same trade next day": binance(trade_time_ms=(TRADE_SECONDS + 86_400) * 1000),
}
KRAKEN_VALUES = {
    "version 2": kraken(),
    "version 1": kraken_v1(),
    "version 1 again": kraken_v1(
        ingestion_timestamp=5,
    ),
    "sold with limit": kraken(side="s", order_type="l"),
    "unknown side": kraken(side="x"),
    "capital side": kraken(side="B"),
    "unknown order type": kraken(order_type="q", misc="odd"),
    "doge": kraken(symbol="XDG/ZEUR"),
    "first of two fills": kraken(trade_id=None, sequence_in_message=0),
    "second of two fills": kraken(trade_id=None, sequence_in_message=1),
    "no slash": kraken(symbol="XBTUSD"),
    "nothing before the slash": kraken(symbol="/USD"),
    "two slashes": kraken(symbol="A/B/C"),
    "line break at the end": kraken(symbol="BTC/USD\n"),
    "no time": kraken(trade_time_seconds=""),
    "time of words": kraken(trade_time_seconds="NaN"),
    "whole seconds": kraken(trade_time_seconds="1616333924"),
    "no float keeps this": kraken(trade_time_seconds="1616333924.737429"),
    "huge seconds": kraken(trade_time_seconds="99999999999999"),
    "more digits than there are": kraken(trade_time_seconds="9" * 400),
    "one more": kraken(trade_time_seconds="9223372036854.775808"),
    "negative": kraken(trade_time_seconds="-0.000001"),
}
for field, change in {
    "price": {"price": "63912.20000"},
    "quantity": {"quantity": "0.00300001"},
    "time": {"trade_time_seconds": f"{TRADE_SECONDS}.000002"},
    "side": {"side": "s"},
    "order type": {"order_type": "l"},
    "misc": {"misc": "x"},
    "symbol": {"symbol": "ETH/USD"},
}.items():
    KRAKEN_VALUES[f"no id, other {field}"] = kraken(trade_id=None, **change)


def decoded(exchange, values):
    writers = {id_: SCHEMA_TEXT[id_] for id_ in (BINANCE_ID, KRAKEN_V1_ID, KRAKEN_V2_ID)}
    return decode(bronze_table(exchange, values)["value"], writers, READER[exchange.name])


def normalized(exchange, values):
    """Records by name, as they are before they are judged: with their names and identities."""
    found = decoded(exchange, values.values())
    rows = normalize(found.raw, exchange, INSTRUMENTS[exchange.name])
    times = pa.chunked_array([pa.repeat(TRADE_SECONDS * 1_000_000, rows.num_rows)])
    named = apply_rules(rows, times, exchange, TRADE_RULES)
    own = rows.select([name for name in rows.column_names if name not in named.column_names])
    names = [list(values)[at] for at in found.rows]
    return {
        name: SimpleNamespace(**row, **of_identity)
        for name, row, of_identity in zip(names, named.to_pylist(), own.to_pylist(), strict=True)
    }


def silver(exchange, value):
    id_ = NEWEST_ID[exchange.name]
    bronze, schemas = bronze_table(exchange, [value]), {id_: SCHEMA_TEXT[id_]}
    (row,) = each(
        to_silver(bronze, exchange, schemas, READER[exchange.name], INSTRUMENTS[exchange.name])
    )
    return row


@pytest.fixture(scope="module")
def of_binance():
    return normalized(BINANCE, BINANCE_VALUES)


@pytest.fixture(scope="module")
def of_kraken():
    return normalized(KRAKEN, KRAKEN_VALUES)


def test_a_binance_trade_becomes_these_fifteen_fields():
    row = silver(BINANCE, binance())

    assert row.outcome == "trade"
    # xxHash64 of "BTCUSDT:trade:spot", then the number: another hash would find no stored duplicate.
    assert row.message_id == f"binance-20260707-442bda7cc695323c{4_100_000_001:016x}"
    assert row.trade_id == "4100000001"
    assert row.symbol == "BTC-USDT"
    assert row.exchange == "binance"
    assert row.asset_class == "crypto"
    assert row.timestamp == TRADE_TIME
    assert row.price == Decimal("61837.63000000")
    assert row.quantity == Decimal("0.00100000")
    assert row.currency == "USDT"
    assert row.side == "SELL"
    assert row.trade_conditions == []
    assert row.source_sequence == 4_100_000_001
    assert row.ingestion_timestamp == datetime(2026, 7, 7, 9, 30, 0, 40_000, UTC)
    assert row.platform_sequence == row.offset == 0
    assert json.loads(row.vendor_data) == {
        "exchange_symbol": "BTCUSDT",
        "event_type": "trade",
        "event_time_ms": TRADE_SECONDS * 1000 + 1,
        "is_best_match": True,
    }


def test_a_kraken_trade_becomes_these_fifteen_fields(of_kraken):
    row = of_kraken["version 2"]

    assert row.message_id.startswith("kraken-20260707-")
    assert row.trade_id == "91826591"
    assert row.symbol == "BTC-USD"
    assert row.exchange == "kraken"
    assert row.asset_class == "crypto"
    assert row.timestamp == TRADE_SECONDS * 1_000_000 + 1
    assert row.price == Decimal("63912.10000000")
    assert row.quantity == Decimal("0.00300000")
    assert row.currency == "USD"
    assert row.side == "BUY"
    assert row.trade_conditions == ["market"]
    assert row.source_sequence == 91_826_591
    assert row.ingestion_timestamp == TRADE_SECONDS * 1_000_000 + 40_000
    assert json.loads(row.vendor_data) == {
        "exchange_symbol": "BTC/USD",
        "order_type": "m",
        "misc": "",
        "sequence_in_message": 0,
    }


def test_a_buying_maker_means_a_selling_taker(of_binance):
    assert of_binance["spot"].side == "SELL"
    assert of_binance["taker buys"].side == "BUY"


@pytest.mark.parametrize(
    ("name", "symbol", "currency"),
    [
        ("bitcoin quote", "ETH-BTC", "BTC"),
        ("longest quote wins", "BTC-FDUSD", "FDUSD"),
        ("lira", "USDT-TRY", "TRY"),
        ("digits in the base", "1000SHIB-USDT", "USDT"),
        ("quote alone", None, None),
        ("no known quote", None, None),
        ("lower case", None, None),
        pytest.param("line break in the base", None, None),
        ("line break at the end", None, None),
    ],
)
def test_a_binance_market_is_split_at_its_quote(of_binance, name, symbol, currency):
    row = of_binance[name]

    assert (row.symbol, row.currency) == (symbol, currency)


@pytest.mark.parametrize(
    ("name", "symbol", "currency", "own_name"),
    [
        ("version 1", "BTC-USD", "USD", "XBT/USD"),
        ("doge", "DOGE-EUR", "EUR", "XDG/ZEUR"),
        ("no slash", None, None, "XBTUSD"),
        ("nothing before the slash", None, None, "/USD"),
        ("two slashes", None, None, "A/B/C"),
        pytest.param("line break at the end", None, None, "BTC/USD\n"),
    ],
)
def test_a_kraken_market_gets_standard_codes_and_keeps_its_own_name(
    of_kraken, name, symbol, currency, own_name
):
    row = of_kraken[name]

    assert (row.symbol, row.currency) == (symbol, currency)
    assert json.loads(row.vendor_data)["exchange_symbol"] == own_name


@pytest.mark.parametrize(
    ("name", "micros"),
    [
        ("spot", TRADE_SECONDS * 1_000_000),
        ("microseconds", TRADE_SECONDS * 1_000_000 + 123_456),
        ("last millisecond", TRADE_SECONDS * 1_000_000 + 999_000),
    ],
)
def test_binance_times_are_milliseconds_or_microseconds_by_their_size(of_binance, name, micros):
    assert of_binance[name].timestamp == micros


@pytest.mark.parametrize(
    ("name", "micros"),
    [
        ("whole seconds", 1_616_333_924_000_000),
        ("no float keeps this", 1_616_333_924_737_429),
        ("one more", None),
        ("huge seconds", None),
        ("more digits than there are", None),
        ("no time", None),
        ("time of words", None),
        ("negative", -1),
    ],
)
def test_kraken_times_are_exact_to_the_microsecond_or_none(of_kraken, name, micros):
    assert of_kraken[name].timestamp == micros


@pytest.mark.parametrize("name", ["no time", "one more"])
def test_without_a_time_there_is_no_message_id(of_kraken, name):
    assert of_kraken[name].message_id is None


TIMES = [
    pytest.param(BINANCE, {"trade_time_ms": LONGEST}, id="largest long"),
    pytest.param(BINANCE, {"trade_time_ms": 10**14 - 1}, id="most milliseconds"),
    pytest.param(BINANCE, {"trade_time_ms": 10**14}, id="fewest microseconds"),
    pytest.param(BINANCE, {"trade_time_ms": 0}, id="the epoch"),
    pytest.param(BINANCE, {"trade_time_ms": -1}, id="before the epoch"),
    pytest.param(BINANCE, {"trade_time_ms": SHORTEST // 1000 + 1}, id="few milliseconds"),
    pytest.param(BINANCE, {"trade_time_ms": SHORTEST // 1000 - 1}, id="too few milliseconds"),
    pytest.param(BINANCE, {"trade_time_ms": SHORTEST}, id="smallest long"),
    pytest.param(KRAKEN, {"trade_time_seconds": "9223372036854.775807"}, id="last micro"),
    pytest.param(KRAKEN, {"trade_time_seconds": "-9223372036854.775808"}, id="first micro"),
]


@pytest.mark.parametrize(("exchange", "change"), TIMES)
def test_no_time_stops_the_stream(exchange, change):
    row = silver(exchange, framed(raw(exchange, **change)))

    assert row.outcome == "dead_letter"


@pytest.mark.parametrize(
    ("name", "price", "sign"),
    [
        ("tiny price", Decimal("0.00000001"), 1),
        ("ten digits", Decimal("9999999999.99999999"), 1),
        ("nineteen digits", None, 1),
        ("fifteen places", None, 1),
        ("no number", None, None),
    ],
)
def test_a_price_that_does_not_fit_is_none_and_never_rounded(of_binance, name, price, sign):
    row = of_binance[name]

    assert (row.price, row.price_sign) == (price, sign)


def test_an_aggregate_says_so(of_binance):
    assert of_binance["aggregate"].trade_conditions == ["aggregate"]
    assert of_binance["futures"].trade_conditions == []


def test_conditions_of_kraken_are_words_and_never_empty(of_kraken):
    assert of_kraken["sold with limit"].trade_conditions == ["limit"]
    assert of_kraken["unknown order type"].trade_conditions == ["q", "odd"]


@pytest.mark.parametrize("name", ["unknown side", "capital side"])
def test_an_unknown_side_is_none_and_never_a_sale(of_kraken, name):
    assert of_kraken[name].side is None


def test_numbered_trades_of_different_markets_never_meet(of_binance):
    spaces = ("spot", "aggregate", "aggregate on spot", "futures", "another symbol")

    assert len({of_binance[name].message_id for name in spaces}) == len(spaces)
    assert len({of_binance[name].identity_space for name in spaces}) == len(spaces)
    assert len({of_binance[name].first_trade_id for name in spaces}) == 1


@pytest.mark.parametrize("name", ["negative id", "largest id", "smallest id"])
def test_every_long_can_be_an_id(of_binance, name):
    row = of_binance[name]

    number = row.first_trade_id
    assert row.message_id.endswith(f"{number % 2**64:016x}")
    assert row.trade_id == str(number) == str(row.source_sequence)


def test_a_trade_without_number_is_named_by_its_identity(of_kraken):
    row = of_kraken["version 1"]

    assert row.first_trade_id is row.source_sequence is None
    assert row.trade_id == row.message_id.removeprefix("kraken-20260707-")
    assert len(row.trade_id) == 32


def test_when_a_trade_was_received_is_no_part_of_what_it_is(of_kraken):
    assert of_kraken["version 1 again"].message_id == of_kraken["version 1"].message_id


def test_fills_without_number_differ_in_any_field_or_their_position(of_kraken):
    names = [name for name in of_kraken if name.startswith("no id, other")]
    names += ["first of two fills", "second of two fills"]

    assert len({of_kraken[name].message_id for name in names}) == len(names) == 9


def test_a_date_is_part_of_the_name(of_binance):
    today, next_day = of_binance["spot"].message_id, of_binance["same trade next day"].message_id

    assert next_day == today.replace("20260707", "20260708")


def test_a_far_ingestion_time_is_kept_for_the_rules_to_judge(of_binance):
    assert of_binance["ingestion far ahead"].ingestion_timestamp == LONGEST


@pytest.mark.performance
def test_the_exponent_of_a_number_costs_nothing():
    normalized(KRAKEN, {"warm": kraken(price="1E-9")})
    before = time.process_time()

    normalized(KRAKEN, {"costly": kraken(price="1E-20000000", trade_time_seconds="1E-20000000")})

    assert time.process_time() - before < 5


def test_a_market_is_split_alike_whatever_garbage_was_seen_before():
    garbage = {f"M{number}": kraken(symbol=f"M{number}") for number in range(10_500)}
    split = {"BTC/USD": kraken()}

    before = normalized(KRAKEN, split)
    normalized(KRAKEN, garbage)
    after = normalized(KRAKEN, split)

    assert before["BTC/USD"].symbol == after["BTC/USD"].symbol == "BTC-USD"


def test_a_market_of_unusual_characters_is_written_as_json():
    name = 'a"\\/\n\u00e9\U0001f4a9'

    (row,) = normalized(KRAKEN, {"odd": kraken(symbol=name)}).values()

    assert json.loads(row.vendor_data)["exchange_symbol"] == name
