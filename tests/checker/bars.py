"""Bars of the trades that a simulator sent, in whole numbers, compared with ``gold_ohlcv``."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context
from pathlib import Path
from typing import Any

from tests.checker.lake import rows
from tests.checker.sent import Sent, micros, units

Key = tuple[str, str, str, int]  # exchange, symbol, timeframe, start in µs
Place = tuple[int, bool, int, int]

_SECOND = 1_000_000
_LENGTHS = {
    "1m": 60 * _SECOND,
    "5m": 300 * _SECOND,
    "30m": 1_800 * _SECOND,
    "1h": 3_600 * _SECOND,
    "1d": 86_400 * _SECOND,
}
_EXACTLY = Context(prec=60)
_LATENESS = 300 * _SECOND


@dataclass(slots=True)
class Window:
    """What a bar is made of: prices and volumes count 1e-8, ``quote`` counts 1e-16, as
    simulators and recordings need."""

    first: Place
    last: Place
    open: int
    close: int
    high: int
    low: int
    volume: int = 0
    quote: int = 0
    count: int = 0
    bought: int = 0

    def take(self, place: Place, fact: Sent) -> None:
        """Add a trade."""
        price, quantity = fact.price, fact.quantity
        if place < self.first:
            self.first, self.open = place, price
        if place > self.last:
            self.last, self.close = place, price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += quantity
        self.quote += price * quantity
        # Binance's spot numbers each fill; a contract's aggregate is one of its trades.
        self.count += 1 if fact.contract or fact.ids is None else len(fact.fills)
        if fact.side == "BUY":
            self.bought += quantity

    def as_row(self, end_us: int, watermark_us: int) -> dict[str, Any]:
        """The bar's columns; ``vwap`` is rounded half up."""
        return {
            "open": self.open,
            "high": self.high,
            "low": self.low,
            "close": self.close,
            "volume": self.volume,
            "quote_volume": self.quote,
            # It counts 1e-14.
            "vwap": (2 * 10**6 * self.quote + self.volume) // (2 * self.volume),
            "trade_count": self.count,
            "taker_buy_volume": self.bought,
            "is_final": end_us <= watermark_us,
        }


def check_bars(home: Path, facts: Iterable[Sent]) -> list[str]:
    """Every missing, extra and differing bar."""
    windows, newest = _windows(facts)
    problems = []
    for row in rows(home, "gold_ohlcv"):
        start = micros(row["bar_start"])
        key = (row["exchange"], row["symbol"], row["timeframe"], start)
        window = windows.pop(key, None)
        if window is None:
            problems.append(f"gold_ohlcv: extra or twice: {_name(key)}")
            continue
        wanted = window.as_row(start + _LENGTHS[key[2]], newest[key[0]] - _LATENESS)
        problems += [
            f"gold_ohlcv: {_name(key)}: {name} is {value}, wanted {wanted[name]}"
            for name, value in _numbers(row).items()
            if value != wanted[name]
        ]
        if row["bar_date"] != row["bar_start"].date():
            problems.append(f"gold_ohlcv: {_name(key)}: bar_date is {row['bar_date']}")
    return problems + [f"gold_ohlcv: missing: {_name(key)}" for key in windows]


def _windows(facts: Iterable[Sent]) -> tuple[dict[Key, Window], dict[str, int]]:
    windows: dict[Key, Window] = {}
    newest: dict[str, int] = {}
    for position, fact in enumerate(facts):
        if not fact.is_first or not fact.counts:
            continue
        time, exchange, symbol, number = fact.time_us, fact.exchange, fact.symbol, fact.trade_id
        if fact.ids is not None:
            number = fact.ids[0]  # an aggregate is where its first fill is
        newest[exchange] = max(newest.get(exchange, time), time)
        # The trade id is the sequence. Without one the offset decides, which grows with the
        # position: a market keeps to one partition.
        place = (time, number is not None, number or 0, position)
        for name, length in _LENGTHS.items():
            key = (exchange, symbol, name, time - time % length)
            window = windows.get(key)
            if window is None:
                price = fact.price
                window = windows[key] = Window(place, place, price, price, price, price)
            window.take(place, fact)
    return windows, newest


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    prices = ("open", "high", "low", "close", "volume", "taker_buy_volume")
    return {
        **{name: units(row[name]) for name in prices},
        "quote_volume": int(_EXACTLY.scaleb(row["quote_volume"], 16)),
        "vwap": int(_EXACTLY.scaleb(row["vwap"], 14)),
        "trade_count": row["trade_count"],
        "is_final": row["is_final"],
    }


def _name(key: Key) -> str:
    exchange, symbol, timeframe, start = key
    moment = datetime.fromtimestamp(start / _SECOND, UTC)
    return f"{exchange} {symbol} {timeframe} {moment:%Y-%m-%d %H:%M}"
