"""Simulated trades in the form of each exchange's raw records."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from k2.exchanges.parsing import RawRecord
from k2.feeds.simulator.market import SCALE, Market

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_V1_DECIMALS = 5  # Kraken's websocket version 1 gives at least so many
_MESSAGES_PER_TRADE = 3  # of a Coinbase product, which numbers orders' messages too


class TradeDraft(NamedTuple):
    """A trade before an exchange gives it a form; price and quantity count 1e-8."""

    moment_us: int
    received_us: int
    price: int
    quantity: int
    maker: bool
    limit: bool
    position: int


def raw_aggregate(
    market: Market, number: int, ids: tuple[int, int], draft: TradeDraft
) -> RawRecord:
    """Return an aggregate of Binance, whose fills have the ids from the first to the last of ``ids``."""
    fills = {"aggregate_id": number, "first_trade_id": ids[0], "last_trade_id": ids[1]}
    raw = _binance(market, number, draft) | {"event_type": "aggTrade", "market": "spot"}
    return _OF_VERSION_2 | raw | fills


def raw_contract_trade(market: Market, number: int, draft: TradeDraft, kind: str) -> RawRecord:
    """Return a trade of a USD-M contract; ``kind`` is how it came about, NA that it is none."""
    raw = _binance(market, number, draft) | {"is_best_match": None, "execution_type": kind}
    if kind == "NA":
        raw |= {"price": "0", "quantity": "0"}
    return _OF_VERSION_2 | raw


def raw_record(market: Market, number: int | None, draft: TradeDraft) -> RawRecord:
    """Return a trade as the market's feed has it; ``number`` is its id, None where there is none."""
    return _FORMS[market.exchange](market, number, draft)


# What a Binance record has since version 2, each null unless the message says it.
_OF_VERSION_2: RawRecord = dict.fromkeys(
    (
        *("market", "aggregate_id", "first_trade_id", "last_trade_id", "buyer_order_id"),
        *("seller_order_id", "execution_type", "normal_quantity", "contract_type", "taker_side"),
        *("stream", "extra", "message_extra"),
    )
)


def _binance(market: Market, number: int | None, draft: TradeDraft) -> RawRecord:
    trade_ms = draft.moment_us // 1000
    return {
        "event_type": "trade",
        "event_time_ms": trade_ms,
        "symbol": market.symbol,
        "trade_id": number,
        "price": _decimal(draft.price, 8),
        "quantity": _decimal(draft.quantity, 8),
        "trade_time_ms": trade_ms,
        "is_buyer_maker": draft.maker,
        "is_best_match": True,
        "ingestion_timestamp": draft.received_us,
    }


def _kraken(market: Market, number: int | None, draft: TradeDraft) -> RawRecord:
    decimals = market.decimals if number is not None else max(_V1_DECIMALS, market.decimals)
    raw = {
        "symbol": market.symbol,
        "price": _decimal(draft.price, decimals),
        "quantity": _decimal(draft.quantity, 8),
        "trade_time_seconds": f"{draft.moment_us // 10**6}.{draft.moment_us % 10**6:06d}",
        "side": "s" if draft.maker else "b",
        "order_type": "l" if draft.limit else "m",
        "misc": "",
        "ingestion_timestamp": draft.received_us,
    }
    if number is not None:
        raw |= {"trade_id": number, "sequence_in_message": draft.position}
    return raw


def _coinbase(market: Market, number: int | None, draft: TradeDraft) -> RawRecord:
    trade_id = number or 0
    time = _EPOCH + timedelta(microseconds=draft.moment_us)
    return {
        "message_type": "match",
        "symbol": market.symbol,
        "trade_id": trade_id,
        "sequence": _MESSAGES_PER_TRADE * trade_id,
        "price": _decimal(draft.price, market.decimals),
        "quantity": _decimal(draft.quantity, 8),
        "trade_time": f"{time:%Y-%m-%dT%H:%M:%S.%fZ}",
        "maker_side": "buy" if draft.maker else "sell",
        "maker_order_id": f"{trade_id:08x}-0000-4000-8000-00000000000a",
        "taker_order_id": f"{trade_id - draft.position:08x}-0000-4000-8000-00000000000b",
        "ingestion_timestamp": draft.received_us,
    }


_FORMS: dict[str, Callable[[Market, int | None, TradeDraft], RawRecord]] = {
    "binance": _binance,
    "kraken": _kraken,
    "coinbase": _coinbase,
}


def _decimal(units: int, places: int) -> str:
    whole, rest = divmod(units, SCALE)
    return f"{whole}.{f'{rest:08d}'[:places]}"
