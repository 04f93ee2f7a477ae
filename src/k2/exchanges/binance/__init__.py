"""Binance spot and USD-M futures: how a trade or an aggregate trade becomes a K2 trade.

Source: the exchange's documents of the ``trade`` and ``aggTrade`` websocket streams. ``t`` of a trade and
``f`` to ``l`` of an aggregate are of one numbering. On spot every number of it is a trade (binance-spot-api-docs,
web-socket-streams.md). On USD-M numbers are used up without a trade, by self-trade prevention and what is no
market trade, while ``a`` of aggregates has no gap (2.06 million aggregates of two days of BTCUSDT).
"""

from k2.exchanges.binance.names import read_name
from k2.exchanges.exchange import Condition, Exchange, Identity, Numbering

# Since 2025 times may come in microseconds. Before the year 2286 milliseconds have at most 13 digits,
# and below the first year they would overflow.
TRADE_TIME = (
    "case when trade_time_ms >= 100000000000000 then trade_time_ms"
    " when trade_time_ms > -62135596800000 then trade_time_ms * 1000 end"
)

_MARKET = "coalesce(market, if(is_best_match is not null, 'spot', 'usdm'))"
# Of an aggregate those of its fills; version 1 of the raw record did not keep them.
_FIRST = "coalesce(first_trade_id, trade_id)"
_HAS_FILL_IDS = "(event_type = 'trade' or first_trade_id is not null)"
# Off the order book, at prices of their own: the exchange leaves them out of its aggregates.
_USDM_DOCUMENT = "Binance USD-M, Aggregate Trade Streams: only market trades are aggregated, insurance fund trades and ADL trades are not"


def _numbers(fill_id: str) -> str:
    """SQL over Silver: the id of a fill on spot, the aggregate's own on USD-M."""
    is_aggregate = "list_contains(trade_conditions, 'aggregate')"
    # Of version 1 of the raw record an aggregate has no ids of fills.
    is_old = f"{is_aggregate} and trade_id = cast(first_trade_id as varchar)"
    return (
        f"case when instrument_type = 'spot' and not ({is_old}) then {fill_id}"
        f" when instrument_type <> 'spot' and {is_aggregate} then try_cast(trade_id as bigint) end"
    )


BINANCE = Exchange(
    name="binance",
    title="Binance",
    raw_schemas=("binance_raw_trade_v1.avsc", "binance_raw_trade_v2.avsc"),
    columns={
        "exchange_symbol": "symbol",
        "trade_id": "cast(trade_id as string)",
        "price": "price",
        "quantity": "quantity",
        # Binance reports who rested, not who crossed: a buying maker means a selling taker.
        "side": "if(is_buyer_maker, 'SELL', 'BUY')",
        "timestamp": TRADE_TIME,
        "trade_conditions": (
            "case when execution_type not in ('MARKET', '') then"
            " if(event_type = 'aggTrade', ['aggregate'], []) || [lower(execution_type)]"
            " when event_type = 'aggTrade' then ['aggregate'] else [] end"
        ),
        "source_sequence": _FIRST,
        "ingestion_timestamp": "ingestion_timestamp",
    },
    vendor={
        "event_type": "event_type",
        "event_time_ms": "event_time_ms",
        "is_best_match": "is_best_match",
    },
    read_name=read_name,
    # A message of spot says so; of the others each names its contracts in its own way.
    market=_MARKET,
    markets=("spot", "usdm", "coinm"),
    identity=Identity(
        # An aggregate that does not say which fills it has is known by its own id, among its like.
        id_space=f"concat_ws(':', symbol, if({_HAS_FILL_IDS}, 'trade', 'aggTrade'), {_MARKET})",
        first=_FIRST,
        last="if(first_trade_id is null, trade_id, last_trade_id)",
        fields="''",
        is_dense=f"{_MARKET} = 'spot'",
    ),
    # X=NA with price 0 and quantity 0: an id that no trade has (hftbacktest #263).
    filler=(
        "case when execution_type = 'NA' then coalesce(try_cast(price as decimal(38, 10)) = 0"
        " and try_cast(quantity as decimal(38, 10)) = 0, false) else false end"
    ),
    conditions=(
        Condition("insurance_fund", _USDM_DOCUMENT),
        Condition("adl", _USDM_DOCUMENT),
    ),
    numbering=Numbering(first=_numbers("first_trade_id"), last=_numbers("last_trade_id")),
)
