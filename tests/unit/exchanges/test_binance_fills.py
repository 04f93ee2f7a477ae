"""Binance: a fill counts once, whatever messages told of it."""

import random
from decimal import Decimal
from itertools import groupby, islice

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k2.exchanges.binance import BINANCE
from k2.silver.tables import silver_trades
from k2.sql import query
from k2.storage.scan import scan_table
from tests.checker import messages as recorded
from tests.support.binance_messages import (
    T0,
    aggregate,
    contract_aggregate,
    contract_trade,
    spot_trade,
)
from tests.support.messages_to_bars import Lakehouse
from tests.support.recordings import name_of, recorded_files

pytestmark = pytest.mark.unit


@pytest.fixture
def lakehouse(tmp_path):
    made = Lakehouse(tmp_path, BINANCE)
    yield made
    made.stop()


def stored(lakehouse):
    return [(row["symbol"], row["trade_id"], row["trade_count"]) for row in lakehouse.trades]


def ids(lakehouse):
    return [(row["first_trade_id"], row["last_trade_id"]) for row in lakehouse.trades]


@pytest.mark.parametrize("batches", [1, 3])
def test_an_aggregate_of_trades_that_are_there_is_a_duplicate(lakehouse, batches):
    messages = [spot_trade(501), spot_trade(502, size="2"), aggregate(9, 501, 502, size="3")]

    feed(lakehouse, messages, batches)

    assert stored(lakehouse) == [("BTC-USDT", "501", 1), ("BTC-USDT", "502", 1)]
    assert lakehouse.duplicates == [(2, "repeated")]


@pytest.mark.parametrize("batches", [1, 3])
def test_trades_of_an_aggregate_that_is_there_are_duplicates(lakehouse, batches):
    messages = [aggregate(9, 501, 502, size="3"), spot_trade(502, size="2"), spot_trade(501)]

    feed(lakehouse, messages, batches)

    assert stored(lakehouse) == [("BTC-USDT", "9", 2)]
    assert ids(lakehouse) == [(501, 502)]
    assert lakehouse.duplicates == [(1, "repeated"), (2, "repeated")]


@pytest.mark.parametrize("batches", [1, 2])
def test_an_aggregate_of_which_a_trade_is_there_overlaps(lakehouse, batches):
    feed(lakehouse, [spot_trade(501), aggregate(9, 501, 503, size="3")], batches)

    assert stored(lakehouse) == [("BTC-USDT", "501", 1)]
    assert lakehouse.duplicates == [(1, "overlaps")]


def test_the_rest_of_what_overlapped_is_repaired_by_its_trades(lakehouse):
    lakehouse.take(spot_trade(501), aggregate(9, 501, 503, size="3"))

    lakehouse.take(spot_trade(503), spot_trade(502))

    assert [row["trade_id"] for row in lakehouse.trades] == ["501", "503", "502"]


def test_an_aggregate_id_that_is_used_twice_loses_nothing(lakehouse):
    # binance-public-data #353: one id, two aggregates of other fills, on two days.
    lakehouse.take(aggregate(9, 501, 502), aggregate(9, 503, 504, T=T0 + 60_000))

    assert ids(lakehouse) == [(501, 502), (503, 504)]
    assert lakehouse.duplicates == []


def test_ids_of_a_spot_market_and_of_the_contract_of_its_name_are_apart(lakehouse):
    lakehouse.take(spot_trade(501), contract_trade(501), contract_aggregate(9, 501, 501))

    assert [row["symbol"] for row in lakehouse.trades] == ["BTC-USDT", "BTC-USDT-PERP"]
    assert lakehouse.duplicates == [(2, "repeated")]


def test_an_aggregate_of_a_contract_counts_as_one_trade(lakehouse):
    lakehouse.take(contract_aggregate(9, 501, 507, size="3"))

    assert stored(lakehouse) == [("BTC-USDT-PERP", "9", 1)]
    assert ids(lakehouse) == [(501, 507)]


def test_ids_that_a_contract_used_up_without_a_trade_are_not_missing(lakehouse):
    filler = contract_trade(502, "0", "0", "NA")
    lakehouse.take(contract_trade(501), filler, contract_trade(503))

    lakehouse.take(contract_aggregate(9, 501, 503), contract_aggregate(10, 503, 504))

    assert lakehouse.dead_letters == [(1, "filler", ["filler"])]
    assert lakehouse.duplicates == [(3, "repeated"), (4, "overlaps")]


@pytest.mark.parametrize(
    ("message", "reasons"),
    [
        (contract_trade(1, "0", "0", "MARKET"), ["price_not_positive", "quantity_not_positive"]),
        (contract_trade(1, "0", "0.1", "NA"), ["price_not_positive"]),
        (contract_trade(1, "0.1", "0", "NA"), ["quantity_not_positive"]),
        (spot_trade(1, "0", "0"), ["price_not_positive", "quantity_not_positive"]),
    ],
)
def test_what_is_only_like_a_filler_is_a_broken_trade(lakehouse, message, reasons):
    lakehouse.take(message)

    assert lakehouse.dead_letters == [(0, "rule", reasons)]


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000", "0E-8"])
def test_a_filler_is_one_however_its_zeros_are_written(lakehouse, zero):
    lakehouse.take(contract_trade(1, zero, zero, "NA"))

    assert lakehouse.dead_letters == [(0, "filler", ["filler"])]


@pytest.mark.parametrize(
    ("first", "last"),
    [(10, 9), (1, 100_001), (-(2**63), 2**63 - 1), (0, 2**63 - 1), (-1, -1), (-1, 3)],
)
def test_an_aggregate_of_no_range_of_ids_is_a_dead_letter(lakehouse, first, last):
    lakehouse.take(aggregate(9, first, last), aggregate(9, 1, 100_000))

    assert lakehouse.dead_letters == [(0, "rule", ["trade_ids_not_a_range"])]
    assert [row["trade_count"] for row in lakehouse.trades] == [100_000]


def test_trades_whose_ids_the_exchange_does_not_know_are_never_taken_for_each_other(lakehouse):
    lakehouse.take(spot_trade(-1), spot_trade(-1, "81"), spot_trade(0))

    assert [reasons for _, _, reasons in lakehouse.dead_letters] == [["trade_ids_not_a_range"]] * 2
    assert len(lakehouse.trades) == 1


@pytest.mark.parametrize(
    ("kind", "conditions"),
    [
        ("MARKET", []),
        ("INSURANCE_FUND", ["insurance_fund"]),
        ("ADL", ["adl"]),
        ("SOMETHING", ["something"]),
    ],
)
def test_how_a_fill_came_about_is_among_its_conditions(lakehouse, kind, conditions):
    lakehouse.take(contract_trade(1, kind=kind))

    assert [row["trade_conditions"] for row in lakehouse.trades] == [conditions]


@pytest.mark.parametrize("kind", ["INSURANCE_FUND", "ADL"])
def test_prints_beside_the_order_book_are_in_gold_and_in_no_bar(lakehouse, kind):
    lakehouse.take(
        contract_trade(1, "10"), contract_trade(2, "99", "7", kind), contract_trade(3, "11")
    )

    (bar,) = lakehouse.bars(["1m"])

    assert len(lakehouse.trades) == 3
    assert (bar["high"], bar["volume"], bar["trade_count"]) == (Decimal(11), Decimal(2), 2)


def test_an_index_that_was_lost_is_made_anew_with_fills_and_fillers(lakehouse):
    lakehouse.take(aggregate(9, 501, 503), contract_trade(1), contract_trade(2, "0", "0", "NA"))
    lakehouse.stop()
    for file in lakehouse.settings.checkpoint("silver/v1").glob("seen-trades.db*"):
        file.unlink()

    lakehouse.start()
    lakehouse.take(spot_trade(502), contract_aggregate(9, 1, 2))

    assert lakehouse.duplicates == [(3, "repeated"), (4, "repeated")]


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        (spot_trade(501), (501, 501)),
        (aggregate(9, 501, 503), (501, 503)),
        (contract_aggregate(9, 501, 503), (9, 9)),
        (contract_trade(501), (None, None)),
    ],
)
def test_the_definition_says_which_numbers_prove_completeness(lakehouse, message, numbers):
    lakehouse.take(message)
    silver = scan_table(lakehouse.settings.lake, silver_trades(BINANCE)).table()

    low, high = BINANCE.numbering.first, BINANCE.numbering.last
    sql = f"select {low} as low, {high} as high from silver"  # noqa: S608 — of our own definition
    (row,) = query(sql, silver=silver).to_pylist()

    assert (row["low"], row["high"]) == numbers


def feed(lakehouse, messages, batches):
    size = -(-len(messages) // batches)
    for start in range(0, len(messages), size):
        lakehouse.take(*messages[start : start + size])


# An order's fills: seconds after T0, whose side, and prices with sizes.
ORDER = st.tuples(
    st.integers(0, 130),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), min_size=1, max_size=5),
)


def as_messages(orders):
    """The trades of some orders, and for each group of one price its aggregate."""
    trades, aggregates, number = [], [], 500
    for seconds, is_maker, fills in sorted(orders, key=lambda order: order[0]):
        when = {"T": T0 + seconds * 1000, "m": is_maker}
        numbered = [(number + at, price, size) for at, (price, size) in enumerate(fills)]
        number += len(fills)
        trades += [spot_trade(n, f"{price}", f"0.{size}", **when) for n, price, size in numbered]
        for price, group in groupby(numbered, key=lambda fill: fill[1]):
            parts = list(group)
            size = Decimal(sum(size for _, _, size in parts)) / 10
            first, last = parts[0][0], parts[-1][0]
            aggregates.append(
                aggregate(len(aggregates), first, last, f"{price}", f"{size}", **when)
            )
    return trades, aggregates


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(ORDER, min_size=1, max_size=6), st.data())
def test_bars_of_trades_of_aggregates_and_of_both_are_the_same(tmp_path_factory, orders, data):
    trades, aggregates = as_messages(orders)
    both = data.draw(st.permutations(trades + aggregates))

    made = []
    for messages in (trades, aggregates, both):
        lakehouse = Lakehouse(tmp_path_factory.mktemp("lake"), BINANCE)
        feed(lakehouse, messages, data.draw(st.integers(1, 3)))
        made.append(lakehouse.bars())
        lakehouse.stop()

    assert made[1] == made[0]
    assert made[2] == made[0]
    assert sum(bar["trade_count"] for bar in made[0] if bar["timeframe"] == "1d") == len(trades)


def recorded_trades(recording, most):
    """The first trades of a recording as they came."""
    contents = (orjson.loads(message.text) for message in recorded.messages(recording))
    events = (content.get("data", content) for content in contents)
    return list(islice((event for event in events if event.get("e") == "trade"), most))


def aggregated(trades):
    """The aggregates that the exchange would have sent of trades: of one order and one price."""
    number = 0
    for symbol in sorted({trade["s"] for trade in trades}):
        mine = [trade for trade in trades if trade["s"] == symbol]
        for _, group in groupby(mine, key=lambda t: (t["T"], t["m"], t["p"])):
            parts = list(group)
            ids = [part["t"] for part in parts]
            assert ids == list(range(ids[0], ids[0] + len(ids)))
            size = sum(Decimal(part["q"]) for part in parts)
            number += 1
            yield aggregate(
                number,
                ids[0],
                ids[-1],
                parts[0]["p"],
                str(size),
                **{name: parts[0][name] for name in ("s", "T", "m")},
            )


@pytest.mark.parametrize("recording", recorded_files("binance/spot-*"), ids=name_of)
def test_recorded_trades_and_their_aggregates_give_the_same_bars(tmp_path, recording):
    trades = recorded_trades(recording, 4_000)
    aggregates = list(aggregated(trades))
    assert len(aggregates) < len(trades) * 0.9
    mixed = random.Random(7).sample([*trades, *aggregates], len(trades) + len(aggregates))

    made = []
    for number, messages in enumerate((trades, aggregates, mixed)):
        lakehouse = Lakehouse(tmp_path / str(number), BINANCE)
        feed(lakehouse, messages, 3)
        made.append(lakehouse.bars())
        lakehouse.stop()

    assert made[1] == made[0]
    assert made[2] == made[0]
    assert sum(bar["trade_count"] for bar in made[0] if bar["timeframe"] == "1d") == len(trades)
