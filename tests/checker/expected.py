"""Recorded messages → the Gold trades they must become, by the checker's own reading."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any

from tests.checker.messages import Message, messages

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EIGHT_PLACES = Decimal("0.00000001")
_EXACTLY = Context(prec=100)

_STANDARD = {"XBT": "BTC", "XDG": "DOGE"}
_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "BTC", "ETH", "BNB", "EUR", "GBP", "TRY")
_DOLLARS = {"USD", "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI"}


@dataclass(frozen=True)
class Trade:
    """A trade as Gold must show it. ``key`` is what makes it the same trade."""

    key: tuple[Any, ...]
    exchange: str
    exchange_symbol: str
    symbol: str
    instrument_type: str
    currency: str
    trade_id: str | None  # None: the exchange gives none, Gold has a hash
    source_sequence: int | None
    timestamp: datetime
    price: Decimal
    quantity: Decimal
    side: str
    ingestion_timestamp: datetime | None  # None: not recorded

    @property
    def message_id_prefix(self) -> str:
        return f"{self.exchange}-{self.timestamp:%Y%m%d}-"

    @property
    def exchange_date(self) -> date:
        return self.timestamp.date()

    @property
    def trade_value_usd(self) -> Decimal | None:
        if self.currency not in _DOLLARS:
            return None
        value = _EXACTLY.multiply(self.price, self.quantity)
        return value.quantize(_EIGHT_PLACES, ROUND_HALF_EVEN, _EXACTLY)


def expected_trades(files: Iterable[Path]) -> dict[tuple[Any, ...], Trade]:
    """The trades of all files, each once: of repeated ones the first."""
    trades: dict[tuple[Any, ...], Trade] = {}
    for file in files:
        for message in messages(file):
            for trade in _trades(message):
                trades.setdefault(trade.key, trade)
    return trades


def _trades(message: Message) -> Iterator[Trade]:
    received = moment(message.received_us) if message.received_us else None
    content = json.loads(message.text, parse_float=Decimal, parse_int=int)
    if isinstance(content, list):
        if len(content) == 4 and content[2] == "trade":
            yield from _kraken_v1(content, received)
    elif content.get("channel") == "trade":
        yield from _kraken_v2(content["data"], received)
    elif content.get("type") in ("match", "last_match") and "product_id" in content:
        yield _coinbase(content, received)
    else:
        event = content.get("data", content)
        if isinstance(event, dict) and event.get("e") in ("trade", "aggTrade"):
            yield _binance(event, received)


def _binance(event: dict[str, Any], received: datetime | None) -> Trade:
    number = event["a"] if event["e"] == "aggTrade" else event["t"]
    market = "spot" if "M" in event else "futures"
    base, quote = binance_assets(event["s"])
    # Recordings have no dated contracts.
    symbol = f"{base}-{quote}" if market == "spot" else f"{base}-{quote}-PERP"
    # Milliseconds have 13 digits, microseconds 16.
    micros = event["T"] if len(str(event["T"])) == 16 else event["T"] * 1000
    return Trade(
        key=("binance", market, event["e"], event["s"], number),
        exchange="binance",
        exchange_symbol=event["s"],
        symbol=symbol,
        instrument_type="spot" if market == "spot" else "perpetual",
        currency=quote,
        trade_id=str(number),
        # An aggregate is placed among the trades by its first fill.
        source_sequence=event.get("f", number),
        timestamp=moment(micros),
        price=exact(event["p"]),
        quantity=exact(event["q"]),
        # m: the buyer was the maker, so the taker sold.
        side="SELL" if event["m"] is True else "BUY",
        ingestion_timestamp=received,
    )


def _coinbase(match: dict[str, Any], received: datetime | None) -> Trade:
    base, quote = match["product_id"].split("-")
    return Trade(
        key=("coinbase", match["product_id"], match["trade_id"]),
        exchange="coinbase",
        exchange_symbol=match["product_id"],
        symbol=f"{base}-{quote}",
        instrument_type="spot",
        currency=quote,
        trade_id=str(match["trade_id"]),
        source_sequence=match["sequence"],
        timestamp=datetime.fromisoformat(match["time"]),
        price=exact(match["price"]),
        quantity=exact(match["size"]),
        # The maker's side, so that the taker did the other thing.
        side={"buy": "SELL", "sell": "BUY"}[match["side"]],
        ingestion_timestamp=received,
    )


def _kraken_v1(content: list[Any], received: datetime | None) -> Iterator[Trade]:
    pair = content[3]
    for place, (price, volume, time, side, kind, misc) in enumerate(content[1]):
        micros = Decimal(time) * 1_000_000
        assert micros == int(micros)
        yield _kraken(
            ("kraken", pair, price, volume, time, side, kind, misc, place),
            pair,
            None,
            moment(int(micros)),
            price,
            volume,
            {"b": "BUY", "s": "SELL"}[side],
            received,
        )


def _kraken_v2(data: list[dict[str, Any]], received: datetime | None) -> Iterator[Trade]:
    for trade in data:
        yield _kraken(
            ("kraken", trade["symbol"], trade["trade_id"]),
            trade["symbol"],
            trade["trade_id"],
            datetime.fromisoformat(trade["timestamp"]),
            str(trade["price"]),
            str(trade["qty"]),
            trade["side"].upper(),
            received,
        )


def _kraken(
    key: tuple[Any, ...],
    pair: str,
    number: int | None,
    timestamp: datetime,
    price: str,
    quantity: str,
    side: str,
    received: datetime | None,
) -> Trade:
    base, quote = kraken_assets(pair)
    return Trade(
        key=key,
        exchange="kraken",
        exchange_symbol=pair,
        symbol=f"{base}-{quote}",
        instrument_type="spot",
        currency=quote,
        trade_id=None if number is None else str(number),
        source_sequence=number,
        timestamp=timestamp,
        price=exact(price),
        quantity=exact(quantity),
        side=side,
        ingestion_timestamp=received,
    )


def kraken_assets(pair: str) -> tuple[str, str]:
    base, quote = pair.split("/")
    return _STANDARD.get(base, base), _STANDARD.get(quote, quote)


def binance_assets(symbol: str) -> tuple[str, str]:
    for quote in sorted(_QUOTES, key=len, reverse=True):
        if symbol.endswith(quote):
            return symbol[: -len(quote)], quote
    raise AssertionError(f"the checker knows no quote asset at the end of {symbol}")


def exact(text: str) -> Decimal:
    return Decimal(text)


def moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
