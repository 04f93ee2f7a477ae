"""What Gold adds to a trade: its dollar value, whether it was late, and its UTC hour."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from k2.exchanges.binance import BINANCE
from k2.exchanges.symbols import DOLLARS
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.silver.tables import silver_trades
from tests.support.trades import TRADE_TIME, arrow, each, silver_row

pytestmark = pytest.mark.unit

LIMIT = TRADE_TIME + timedelta(minutes=5)
TICK = timedelta(microseconds=1)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)

CASES = {
    "plain": {},
    **{f"quote {quote}": {"currency": quote} for quote in (*DOLLARS, "EUR", "BTC", "USDX", "usd")},
    "smallest": {"price": Decimal("0.00000001"), "quantity": Decimal("0.00000001")},
    "half to even, down": {"price": Decimal("0.000000005"), "quantity": Decimal(1)},
    "half to even, up": {"price": Decimal("0.000000015"), "quantity": Decimal(1)},
    "ten billion coins": {"price": Decimal("0.00000396"), "quantity": Decimal(10) ** 10},
    "thirteen places": {"price": Decimal("0.0000000000013"), "quantity": Decimal("1234567.891")},
    "too much": {"price": Decimal(10) ** 17, "quantity": Decimal(10) ** 17},
    "wide, not dollars": {"price": Decimal(10) ** 17, "currency": "EUR"},
    "largest": {
        "price": Decimal("9999999999.99999999"),
        "quantity": Decimal("9999999999.99999999"),
    },
    "no float": {"price": Decimal("0.1"), "quantity": Decimal("0.2")},
    "at the limit": {"kafka_timestamp": LIMIT},
    "past the limit": {"kafka_timestamp": LIMIT + TICK},
    "days late": {"kafka_timestamp": LIMIT + timedelta(days=900)},
    "before it happened": {"kafka_timestamp": TRADE_TIME - timedelta(minutes=4)},
    "last moment of the year": {"timestamp": NEW_YEAR - TICK},
    "first moment of the year": {"timestamp": NEW_YEAR},
    "last moment of an hour": {"timestamp": datetime(2026, 7, 7, 13, 59, 59, 999_999, UTC)},
    "leap day": {"timestamp": datetime(2028, 2, 29, 23, 0, 0, tzinfo=UTC)},
}


def gold(cases, minutes=5):
    rows = [silver_row(BINANCE, offset, **change) for offset, change in enumerate(cases.values())]
    result = to_gold(arrow(silver_trades(BINANCE), rows), minutes)
    assert result.column_names == GOLD_TRADES.columns
    names = list(cases)
    return {names[row.offset]: row for row in each(result)}


@pytest.fixture(scope="module")
def rows():
    found = gold(CASES)
    assert len(found) == len(CASES)
    return found


@pytest.mark.parametrize("quote", DOLLARS)
def test_a_trade_for_dollars_has_a_value(rows, quote):
    assert rows[f"quote {quote}"].trade_value_usd == Decimal("61.83763")


@pytest.mark.parametrize("quote", ["EUR", "BTC", "USDX", "usd"])
def test_a_trade_for_something_else_has_no_value(rows, quote):
    assert rows[f"quote {quote}"].trade_value_usd is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("smallest", "0"),
        ("largest", "99999999999999999800"),
        ("no float", "0.02"),
        ("half to even, down", "0"),
        ("half to even, up", "0.00000002"),
        ("ten billion coins", "39600"),
        ("thirteen places", "0.00000160"),
    ],
)
def test_a_value_has_eight_places_rounded_half_even(rows, name, value):
    assert rows[name].trade_value_usd == Decimal(value)


@pytest.mark.parametrize("name", ["too much", "wide, not dollars"])
def test_a_value_that_no_column_holds_or_that_is_none_is_null(rows, name):
    assert rows[name].trade_value_usd is None


def test_a_value_is_the_same_beside_numbers_of_many_digits(rows):
    alone = gold({"plain": CASES["plain"], "no float": CASES["no float"]})

    for name, row in alone.items():
        assert row.trade_value_usd == rows[name].trade_value_usd


@pytest.mark.parametrize(
    ("name", "late"),
    [
        ("plain", False),
        ("before it happened", False),
        ("at the limit", False),
        ("past the limit", True),
        ("days late", True),
    ],
)
def test_a_trade_is_late_when_it_reached_the_broker_after_the_limit(rows, name, late):
    assert rows[name].is_late is late


def test_the_limit_is_the_settings():
    ten = gold({name: CASES[name] for name in ("past the limit", "days late")}, minutes=10)

    assert [row.is_late for row in ten.values()] == [False, True]


@pytest.mark.parametrize(
    ("name", "day", "hour"),
    [
        ("last moment of the year", date(2026, 12, 31), 23),
        ("first moment of the year", date(2027, 1, 1), 0),
        ("last moment of an hour", date(2026, 7, 7), 13),
        ("leap day", date(2028, 2, 29), 23),
    ],
)
def test_date_and_hour_are_of_the_trade_in_utc(rows, name, day, hour):
    assert (rows[name].exchange_date, rows[name].exchange_hour) == (day, hour)


def test_the_hour_is_utc_of_times_in_another_zone():
    elsewhere = pa.timestamp("us", "Asia/Kolkata")
    rows = arrow(silver_trades(BINANCE), [silver_row(BINANCE, 0, timestamp=NEW_YEAR)])
    place = rows.schema.get_field_index("timestamp")

    (row,) = each(
        to_gold(rows.set_column(place, "timestamp", rows["timestamp"].cast(elsewhere)), 5)
    )

    assert row.exchange_hour == 0


def test_the_fifteen_fields_and_the_coordinates_stay_as_they_are(rows):
    wanted, row = silver_row(BINANCE, 0), vars(rows["plain"])

    same = wanted.keys() & row.keys()
    assert {name: row[name] for name in same} == {name: wanted[name] for name in same}
    assert wanted.keys() - same == {"schema_id", "first_trade_id", "last_trade_id"}
