"""Coinbase Exchange spot: how a match becomes a K2 trade.

Source: the exchange's documents of the ``matches`` channel.
"""

from k2.exchanges.exchange import Exchange, Identity
from k2.exchanges.symbols import split_at

_BASE, _QUOTE = split_at("symbol", "-")

# Spark reads less than a whole time as one, such as a year; the exchange never sends that.
_WHOLE_TIME = "'^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z$'"

COINBASE = Exchange(
    name="coinbase",
    title="Coinbase",
    raw_schemas=("coinbase_raw_trade_v1.avsc",),
    columns={
        "exchange_symbol": "symbol",
        "base": _BASE,
        "quote": _QUOTE,
        "trade_id": "cast(trade_id as string)",
        "price": "price",
        "quantity": "quantity",
        # Coinbase names the side of the order that rested: a buying maker means a selling taker.
        "side": "case maker_side when 'buy' then 'SELL' when 'sell' then 'BUY' end",
        "timestamp": f"if(trade_time rlike {_WHOLE_TIME}, try_cast(trade_time as timestamp), null)",
        "trade_conditions": "cast(array() as array<string>)",
        "source_sequence": "sequence",
        "ingestion_timestamp": "timestamp_micros(ingestion_timestamp)",
    },
    vendor={
        "message_type": "message_type",
        "maker_order_id": "maker_order_id",
        "taker_order_id": "taker_order_id",
    },
    # A last_match repeats a match: the same id, so that it is the same trade.
    identity=Identity(space="symbol", number="trade_id", fields="''"),
    ids_have_no_gaps=True,
)
