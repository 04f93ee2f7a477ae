"""Binance spot and USD-M futures: how a trade or an aggregate trade becomes a K2 trade.

Source: the exchange's documents of the ``trade`` and ``aggTrade`` websocket streams.
"""

from k2.exchanges.binance.names import read_name
from k2.exchanges.exchange import Exchange, Identity, Numbering

# Since 2025 times may come in microseconds. Before the year 2286 milliseconds have at most 13 digits,
# and below the first year they would overflow.
TRADE_TIME = (
    "case when trade_time_ms >= 100000000000000 then trade_time_ms"
    " when trade_time_ms > -62135596800000 then trade_time_ms * 1000 end"
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
        "trade_conditions": "if(event_type = 'aggTrade', ['aggregate'], [])",
        "source_sequence": "trade_id",
        "ingestion_timestamp": "ingestion_timestamp",
    },
    vendor={
        "event_type": "event_type",
        "event_time_ms": "event_time_ms",
        "is_best_match": "is_best_match",
    },
    read_name=read_name,
    # A message of spot says so; of the others each names its contracts in its own way.
    market="coalesce(market, if(is_best_match is not null, 'spot', 'usdm'))",
    markets=("spot", "usdm", "coinm"),
    identity=Identity(
        # Aggregate trades and futures have ids of their own; only spot says "best match".
        space="concat_ws(':', symbol, event_type, if(is_best_match is null, 'usdm', 'spot'))",
        first="trade_id",
        fields="''",
    ),
    numbering=Numbering(),
)
