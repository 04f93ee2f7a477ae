"""Bars for people: which market, padding, and candles."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from k2.bars.table import GOLD_OHLCV
from k2.cli.commands.bars import newest_bars, padded
from k2.cli.render.candles import candles
from k2.errors import ConfigError
from k2.home.locks import exclusive
from k2.settings import Settings
from k2.storage.delta import ensure_table
from tests.support.bars import gold_row, plain_bars

pytestmark = pytest.mark.unit

NINE = datetime(2026, 7, 7, 9, 0, tzinfo=UTC)


def store(lake: Path, *trades: dict[str, Any]) -> None:
    rows = [
        {**bar, "is_final": True, "revision": 0, "bar_date": bar["bar_start"].date()}
        for bar in plain_bars(trades).values()
    ]
    bars = pa.Table.from_pylist(rows, schema=GOLD_OHLCV.schema)
    write_deltalake(ensure_table(lake, GOLD_OHLCV), bars, mode="append")


def bar(minute: int, open_: int = 2, high: int = 4, low: int = 1, close: int = 3) -> dict[str, Any]:
    prices = {"open": open_, "high": high, "low": low, "close": close}
    return {
        **{name: Decimal(price) for name, price in prices.items()},
        "bar_start": NINE + timedelta(minutes=minute),
        "is_final": True,
        "trade_count": 5,
        "volume": Decimal(7),
        "revision": 0,
    }


def test_the_newest_bars_of_a_market_come_oldest_first(settings: Settings) -> None:
    moments = [NINE + timedelta(minutes=n) for n in (2, 0, 1)]
    store(settings.lake, *(gold_row(n, timestamp=at) for n, at in enumerate(moments)))

    found = newest_bars(settings, "BTC-USDT", "1m", None, limit=2)

    assert [row["bar_start"] for row in found] == [NINE + timedelta(minutes=n) for n in (1, 2)]


def test_a_market_on_two_exchanges_needs_a_name(settings: Settings) -> None:
    store(settings.lake, gold_row(1), gold_row(2, exchange="kraken"))

    with pytest.raises(ConfigError, match="binance, kraken: name one with --exchange"):
        newest_bars(settings, "BTC-USDT", "1d", None, limit=1)

    assert len(newest_bars(settings, "BTC-USDT", "1d", "kraken", limit=9)) == 1


@pytest.mark.parametrize(("symbol", "exchange"), [("BTC-EUR", None), ("BTC-USDT", "kraken")])
def test_an_unknown_market_is_refused_with_those_there_are(
    settings: Settings, symbol: str, exchange: str | None
) -> None:
    store(settings.lake, gold_row(1))

    with pytest.raises(ConfigError, match="There are: binance BTC-USDT"):
        newest_bars(settings, symbol, "1m", exchange, limit=1)


def test_a_home_without_bars_is_a_sentence(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="no bars in"):
        newest_bars(settings, "BTC-USDT", "1m", None, limit=1)


def test_padding_puts_the_last_close_into_every_empty_window() -> None:
    filled = padded([bar(0, close=3), bar(3)], 60)

    assert [row["bar_start"].minute for row in filled] == [0, 1, 2, 3]
    empty = filled[2]
    assert {empty[name] for name in ("open", "high", "low", "close")} == {Decimal(3)}
    assert (empty["trade_count"], empty["volume"], empty["vwap"]) == (0, 0, None)
    assert empty["revision"] is None


def test_bars_side_by_side_are_not_padded() -> None:
    bars = [bar(0), bar(1)]

    assert padded(bars, 60) == bars


def test_a_candle_has_a_body_from_open_to_close_and_wicks_to_low_and_high() -> None:
    lines = candles([bar(0, open_=2, high=4, low=0, close=3)], width=40, height=4)

    assert [line.plain[-1] for line in lines] == ["█", "█", "│", "│"]
    assert lines[0].plain.split()[0] == "4"
    assert lines[-1].plain.split()[0] == "0"


def test_a_chart_shows_the_newest_bars_that_fit() -> None:
    lines = candles([bar(n) for n in range(100)], width=30, height=3)

    assert max(len(line.plain) for line in lines) <= 30


def test_a_price_that_never_moved_is_a_flat_line() -> None:
    lines = candles([bar(n, 2, 2, 2, 2) for n in range(3)], width=40, height=5)

    assert [line.plain.count("█") for line in lines] == [0, 0, 3, 0, 0]


def test_no_bars_make_no_chart() -> None:
    assert candles([], width=80) == []


def test_the_command_pads_only_when_asked_to(k2: Callable[..., Any], home: Path) -> None:
    prices = {0: "2", 3: "5"}  # minutes 1 and 2 are empty
    store(
        home / "lake",
        *(
            gold_row(minute, timestamp=NINE + timedelta(minutes=minute), price=Decimal(price))
            for minute, price in prices.items()
        ),
    )

    plain = json.loads(k2("bars", "BTC-USDT", "--json").out)
    padded_ = json.loads(k2("bars", "BTC-USDT", "--pad", "--json").out)

    assert [bar["trade_count"] for bar in plain] == [1, 1]
    assert [bar["trade_count"] for bar in padded_] == [1, 0, 0, 1]
    assert [Decimal(bar["close"]) for bar in padded_] == [2, 2, 2, 5]
    assert [Decimal(bar["open"]) for bar in padded_] == [2, 2, 2, 5]
    assert [bar["vwap"] for bar in padded_[1:3]] == [None, None]
    assert padded_[0] == plain[0]
    assert padded_[-1] == plain[-1]


def test_padding_gives_no_more_bars_than_asked_for(k2: Callable[..., Any], home: Path) -> None:
    store(
        home / "lake",
        *(gold_row(n, timestamp=NINE + timedelta(minutes=n)) for n in (0, 50)),
    )

    padded_ = json.loads(k2("bars", "BTC-USDT", "--pad", "--limit", 5, "--json").out)

    assert [bar["trade_count"] for bar in padded_] == [0, 0, 0, 0, 1]


def test_the_command_shows_a_table_and_a_chart(k2: Callable[..., Any], home: Path) -> None:
    store(home / "lake", *(gold_row(n, timestamp=NINE + timedelta(minutes=n)) for n in range(3)))

    said = k2("bars", "btc-usdt", "--timeframe", "5m").out

    assert "binance BTC-USDT 5m" in said
    assert "07-07 09:00" in said
    assert len(said.splitlines()) > 8


def test_bars_are_not_rebuilt_beside_the_stream_that_writes_them(k2, home: Path) -> None:
    settings = Settings.load()
    with exclusive(settings.run / "locks", [GOLD_OHLCV.name], "stream ohlcv"):
        said = k2("bars", "--rebuild")

    assert said.code == 2
    assert f"gold_ohlcv is in use by stream ohlcv (process {os.getpid()}" in said.err
    assert not (home / "lake").exists()
