"""Bars against plain Python, on ugly trades and on random ones."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k2.bars.aggregate import add_up, to_minute_bars, with_ends
from k2.bars.table import TIMEFRAMES
from k2.gold.table import GOLD_TRADES
from tests.fixtures.crypto_fixtures import Record
from tests.support.bars import LENGTHS, Key, gold_row, plain_bars
from tests.support.trades import arrow

pytestmark = pytest.mark.unit

NINE = datetime(2026, 7, 7, 9, 0, tzinfo=UTC)


def bars_of(trades: list[Record]) -> dict[Key, Record]:
    """All bars that K2 makes of these trades."""
    return by_key(add_up((to_minute_bars(arrow(GOLD_TRADES, trades)), tuple(TIMEFRAMES))))


def by_key(bars: pa.Table) -> dict[Key, Record]:
    rows = bars.to_pylist()
    found = {
        (row["exchange"], row["symbol"], row["timeframe"], row["bar_start"].astimezone(UTC)): row
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def without_ends(bars: dict[Key, Record]) -> dict[Key, Record]:
    return {
        key: {name: value for name, value in bar.items() if name not in ENDS}
        for key, bar in bars.items()
    }


def minute_bar(*trades: Record) -> Record:
    """The only one-minute bar of these trades."""
    (bar,) = to_minute_bars(arrow(GOLD_TRADES, list(trades))).to_pylist()
    return bar


ENDS = ("first_trade", "last_trade", "rows", "oldest", "newest")
NARROW = st.decimals("0.00000001", "999999.99999999", places=8)
PRICES = st.one_of(NARROW, st.decimals("0.00000000000001", "99999.9", places=14))
QUANTITIES = st.one_of(NARROW, st.decimals("0.0000000001", "9999999.9", places=10))
TRADES = st.lists(
    st.builds(
        dict,
        symbol=st.sampled_from(["BTC-USDT", "ETH-USDT"]),
        exchange=st.sampled_from(["binance", "kraken"]),
        timestamp=st.one_of(
            st.integers(0, 200).map(lambda second: NINE + timedelta(seconds=second)),
            st.timedeltas(timedelta(hours=-11), timedelta(hours=17)).map(
                lambda distance: NINE + distance
            ),
        ),
        source_sequence=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        side=st.sampled_from(["BUY", "SELL"]),
        price=st.one_of(PRICES, st.sampled_from([Decimal("0.00000001"), Decimal("61837.63")])),
        quantity=QUANTITIES,
    ),
    min_size=1,
    max_size=80,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(changes=TRADES)
def test_bars_are_what_plain_python_makes_of_the_trades(changes: list[dict[str, Any]]) -> None:
    trades = [gold_row(offset, **change) for offset, change in enumerate(changes)]

    bars = bars_of(trades)

    assert without_ends(bars) == plain_bars(trades)


def test_trades_of_one_instant_open_and_close_by_sequence_then_offset() -> None:
    trades = [
        gold_row(7, source_sequence=2, price=Decimal(3)),
        gold_row(8, source_sequence=1, price=Decimal(2)),
        gold_row(9, source_sequence=None, price=Decimal(1)),
        gold_row(6, source_sequence=2, price=Decimal(4)),
    ]

    bar = minute_bar(*trades)

    assert (bar["open"], bar["close"]) == (Decimal(1), Decimal(3))


def test_the_order_of_rows_means_nothing() -> None:
    trades = [
        gold_row(n, timestamp=NINE + timedelta(seconds=n), price=Decimal(n + 1)) for n in range(59)
    ]

    forwards, backwards = minute_bar(*trades), minute_bar(*reversed(trades))

    assert forwards == backwards


def test_a_trade_at_the_first_instant_belongs_to_the_window_that_starts() -> None:
    last = gold_row(1, timestamp=NINE - timedelta(microseconds=1))
    first = gold_row(2, timestamp=NINE)

    bars = bars_of([last, first])

    for name in ("1m", "5m", "30m", "1h"):
        starts = {key[3] for key in bars if key[2] == name}
        assert starts == {NINE - LENGTHS[name], NINE}


def test_a_day_ends_at_midnight_utc() -> None:
    midnight = datetime(2026, 7, 8, tzinfo=UTC)
    before = gold_row(1, timestamp=midnight - timedelta(microseconds=1), quantity=Decimal(1))
    after = gold_row(2, timestamp=midnight, quantity=Decimal(2))

    bars = bars_of([before, after])

    volumes = {key[3]: bar["volume"] for key, bar in bars.items() if key[2] == "1d"}
    assert volumes == {midnight - timedelta(days=1): Decimal(1), midnight: Decimal(2)}


def test_a_window_without_trades_has_no_bar() -> None:
    trades = [gold_row(1, timestamp=NINE), gold_row(2, timestamp=NINE + timedelta(minutes=2))]

    bars = bars_of(trades)

    starts = {key[3] for key in bars if key[2] == "1m"}
    assert starts == {NINE, NINE + timedelta(minutes=2)}


def test_vwap_is_rounded_half_up_at_the_fourteenth_place() -> None:
    trades = [
        gold_row(1, price=Decimal("0.00000000000001"), quantity=Decimal(1)),
        gold_row(2, price=Decimal("0.00000000000002"), quantity=Decimal(1)),
    ]

    bar = minute_bar(*trades)

    assert bar["vwap"] == Decimal("0.00000000000002")


def test_the_largest_trades_of_a_minute_stop_no_stream() -> None:
    huge = {"price": Decimal(10) ** 18 - 1, "quantity": Decimal(10) ** 18 - 1}
    trades = [gold_row(n, **huge) for n in range(1000)]

    bar = minute_bar(*trades)

    assert bar["volume"] == 1000 * huge["quantity"]
    assert bar["quote_volume"] is None
    assert bar["vwap"] is None


def test_ten_billion_tokens_at_thirteen_places_add_up_exactly() -> None:
    price, quantity = Decimal("0.0000000000013"), Decimal("10000000000.5")

    bar = minute_bar(*(gold_row(n, price=price, quantity=quantity) for n in range(3)))

    assert bar["quote_volume"] == 3 * price * quantity
    assert bar["vwap"] == price


def test_a_perpetual_and_its_spot_market_have_bars_of_their_own() -> None:
    spot = gold_row(1)
    perpetual = gold_row(2, symbol="BTC-USDT-PERP", instrument_type="perpetual")

    bars = bars_of([spot, perpetual])

    kinds = {(key[1], bar["instrument_type"]) for key, bar in bars.items()}
    assert kinds == {("BTC-USDT", "spot"), ("BTC-USDT-PERP", "perpetual")}
    assert {bar["trade_count"] for bar in bars.values()} == {1}


def test_a_quote_volume_that_does_not_fit_is_null_in_every_bar_above_it() -> None:
    huge = Decimal("1000000")
    trades = [
        gold_row(n, price=huge, quantity=huge, timestamp=NINE + timedelta(milliseconds=n))
        for n in range(101)
    ]
    normal = gold_row(200, timestamp=NINE + timedelta(minutes=1))

    bars = bars_of([*trades, normal])

    of_length = {
        name: [bar["quote_volume"] for key, bar in sorted(bars.items()) if key[2] == name]
        for name in TIMEFRAMES
    }
    assert of_length["1m"][0] is None
    assert of_length["1m"][1] is not None
    assert of_length["1h"] == [None]
    assert {bar["vwap"] for key, bar in bars.items() if key[2] == "1d"} == {None}


def test_a_bar_tells_when_the_broker_had_its_trades() -> None:
    later = NINE + timedelta(hours=1)
    trades = [
        gold_row(1, timestamp=NINE, kafka_timestamp=later),
        gold_row(2, timestamp=NINE + timedelta(seconds=59, microseconds=999_999)),
        gold_row(3, timestamp=NINE + timedelta(minutes=1)),
    ]

    bars = to_minute_bars(arrow(GOLD_TRADES, trades)).to_pylist()

    assert sorted(bar["trade_count"] for bar in bars) == [1, 2]
    assert max(bar["newest"] for bar in bars) == later
    assert {bar["oldest"] for bar in bars} == {trades[1]["kafka_timestamp"]}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(changes=TRADES, cut=st.integers(0, 80))
def test_bars_added_up_from_parts_of_minutes_are_those_of_all_trades(
    changes: list[dict[str, Any]], cut: int
) -> None:
    trades = [gold_row(offset, **change) for offset, change in enumerate(changes)]
    parts = [
        (to_minute_bars(arrow(GOLD_TRADES, part)), tuple(TIMEFRAMES))
        for part in (trades[cut:], trades[:cut])
    ]

    assert without_ends(by_key(add_up(*parts))) == plain_bars(trades)


def test_a_days_bar_is_added_up_from_stored_hours_beside_minutes() -> None:
    early, late = (
        [gold_row(n, timestamp=NINE + timedelta(hours=n), price=Decimal(n)) for n in hours]
        for hours in ((1, 2), (3, 4))
    )
    stored = to_minute_bars(arrow(GOLD_TRADES, early))
    hourly = with_ends(add_up((stored, ("1h",))))
    minutes = to_minute_bars(arrow(GOLD_TRADES, late))

    for parts in ([(hourly, ("1d",)), (minutes, ("1d",))], [(minutes, ("1d",)), (hourly, ("1d",))]):
        (day,) = without_ends(by_key(add_up(*parts))).items()
        assert day in plain_bars([*early, *late]).items()
