"""Coinbase Exchange spot: how a match becomes a K2 trade.

Source: the exchange's documents of the ``matches`` channel.
"""

from k2.exchanges.exchange import Exchange, Identity, Numbering
from k2.exchanges.symbols import split_at

_BASE, _QUOTE = split_at("exchange_symbol", "-")

# A cast takes less than a whole time too, and other zones; the exchange never sends that.
_WHOLE_TIME = "'[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z'"
_TIME = "try_cast(left(trade_time, length(trade_time) - 1) as timestamp)"

COINBASE = Exchange(
    name="coinbase",
    title="Coinbase",
    raw_schemas=("coinbase_raw_trade_v1.avsc", "coinbase_raw_trade_v2.avsc"),
    columns={
        "exchange_symbol": "symbol",
        "base": _BASE,
        "quote": _QUOTE,
        "trade_id": "cast(trade_id as string)",
        "price": "price",
        "quantity": "quantity",
        # Coinbase names the side of the order that rested: a buying maker means a selling taker.
        "side": "case maker_side when 'buy' then 'SELL' when 'sell' then 'BUY' end",
        "timestamp": f"case when regexp_full_match(trade_time, {_WHOLE_TIME}) then epoch_us({_TIME}) end",
        "trade_conditions": "[]",
        "source_sequence": "sequence",
        "ingestion_timestamp": "ingestion_timestamp",
    },
    vendor={
        "message_type": "message_type",
        "maker_order_id": "maker_order_id",
        "taker_order_id": "taker_order_id",
    },
    # A last_match repeats a match: the same id, so that it is the same trade.
    identity=Identity(space="symbol", first="trade_id", fields="''"),
    numbering=Numbering(),
)
