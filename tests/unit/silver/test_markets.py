"""Every record gets the instrument that its name meant in its market, when it traded."""

import pyarrow as pa
import pytest

from k2.exchanges.binance import BINANCE
from k2.exchanges.instruments import Fact, Instruments, microseconds, shipped_instruments
from k2.exchanges.kraken import KRAKEN
from k2.silver.markets import MAX_NAMES, look_up

pytestmark = pytest.mark.unit

NOW = microseconds("2026-09-10")


def looked_up(exchange, rows, instruments=None):
    names, split_symbols, times = (list(column) for column in zip(*rows, strict=True))
    found = look_up(
        exchange,
        instruments or shipped_instruments(exchange.name),
        pa.chunked_array([pa.array(names, pa.string())]),
        pa.chunked_array([pa.array(split_symbols, pa.string())]),
        pa.chunked_array([pa.array(times, pa.int64())]),
    )
    return pa.table(found).to_pylist()


def test_one_name_is_another_instrument_in_each_market():
    rows = [("BTCUSDT", market, NOW) for market in ("usdm", "spot", "coinm", "usdm")]

    found = looked_up(BINANCE, rows)

    assert [row["symbol"] for row in found] == ["BTC-USDT-PERP", "BTC-USDT", None, "BTC-USDT-PERP"]
    assert [row["instrument_type"] for row in found] == ["perpetual", "spot", None, "perpetual"]
    assert [row["symbol_problem"] for row in found] == [
        None,
        None,
        "instrument_not_supported",
        None,
    ]


def test_a_record_without_a_name_has_no_instrument_and_no_problem_of_it():
    found = looked_up(BINANCE, [(None, "spot", NOW), ("", "spot", NOW), (" ", "spot", NOW)])

    assert {(row["symbol"], row["symbol_problem"]) for row in found} == {(None, None)}


def test_a_renamed_asset_is_what_it_was_when_it_traded():
    renamed = microseconds("2022-05-28")
    rows = [("LUNA/USD", "spot", moment) for moment in (renamed - 1, renamed, None)]

    found = looked_up(KRAKEN, [*rows, ("BTC/USD", "spot", renamed)])

    assert [row["symbol"] for row in found] == ["LUNA-USD", "LUNC-USD", "LUNC-USD", "BTC-USD"]


def test_a_name_before_and_after_its_time_is_unknown():
    fact = Fact("spot", "ABCUSDT", "ABC", "USDT", "spot", "", "", "2026-01-01", "2026-02-01")
    first, end = microseconds(fact.since), microseconds(fact.until)
    rows = [("ABCUSDT", "spot", moment) for moment in (first - 1, first, end - 1, end)]

    found = looked_up(BINANCE, rows, Instruments.of([fact]))

    problem = "symbol_unknown"
    assert [row["symbol"] for row in found] == [None, "ABC-USDT", "ABC-USDT", None]
    assert [row["symbol_problem"] for row in found] == [problem, None, None, problem]


def test_another_list_says_something_else_of_the_same_name():
    rows = [("ABCUSDT", "spot", NOW)]
    fact = Fact("spot", "ABCUSDT", "ABC", "USDT", "spot")

    before, after = looked_up(BINANCE, rows), looked_up(BINANCE, rows, Instruments.of([fact]))

    assert (before[0]["symbol"], after[0]["symbol"]) == (None, "ABC-USDT")


def test_garbage_without_end_is_looked_up_and_not_remembered_without_end():
    rows = [(f"GARBAGE{number}", "spot", NOW) for number in range(MAX_NAMES + 10)]

    found = looked_up(BINANCE, rows)

    assert {row["symbol_problem"] for row in found} == {"symbol_unknown"}


def test_no_rows_are_no_rows():
    empty = pa.chunked_array([], pa.string())

    found = look_up(
        BINANCE,
        shipped_instruments("binance"),
        empty,
        empty,
        pa.chunked_array([], pa.int64()),
    )

    assert pa.table(found).num_rows == 0
