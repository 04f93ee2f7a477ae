"""Coinbase spot, Exchange and Advanced Trade: how a trade becomes a K2 trade.

Source: the exchange's documents of the channels ``matches`` and ``market_trades``, whose trades have
one series of ids.
"""

from k2.exchanges.coinbase.names import read_name
from k2.exchanges.exchange import Exchange, Identity, Numbering

# A cast takes less than a whole time too, and other zones; the exchange never sends that. Digits beyond
# the sixth are cut.
_WHOLE_TIME = "'[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,18})?Z'"
_TIME = "try_cast(rtrim(left(trade_time, 26), 'Z') as timestamp)"

COINBASE = Exchange(
    name="coinbase",
    title="Coinbase",
    raw_schemas=("coinbase_raw_trade_v1.avsc", "coinbase_raw_trade_v2.avsc"),
    columns={
        "exchange_symbol": "symbol",
        "trade_id": "cast(trade_id as string)",
        "price": "price",
        "quantity": "quantity",
        # Coinbase names the side of the order that rested: a buying maker means a selling taker.
        "side": "case lower(maker_side) when 'buy' then 'SELL' when 'sell' then 'BUY' end",
        "timestamp": f"case when regexp_full_match(trade_time, {_WHOLE_TIME}) then epoch_us({_TIME}) end",
        "trade_conditions": "[]",
        # Advanced Trade counts the messages of a connection, which begin again with the next.
        "source_sequence": "if(message_type = 'market_trades', trade_id, sequence)",
        "ingestion_timestamp": "ingestion_timestamp",
    },
    vendor={
        "message_type": "message_type",
        "maker_order_id": "nullif(maker_order_id, '')",
        "taker_order_id": "nullif(taker_order_id, '')",
    },
    # A last_match repeats a match: the same id, so that it is the same trade.
    read_name=read_name,
    identity=Identity(id_space="symbol", first="trade_id", fields="''"),
    numbering=Numbering(),
)
