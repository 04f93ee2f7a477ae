"""Kraken spot, websocket v1 (no trade ids) and v2: how a trade becomes a K2 trade.

Source: the exchange's documents of the ``trade`` channel, versions 1 and 2.
"""

from k2.exchanges.exchange import Exchange, Identity
from k2.exchanges.symbols import split_at

_BASE, _QUOTE = split_at("symbol", "/")

# "seconds.micros" as exact text; a float would lose the last digits. Only plain digits are cast:
# Spark works out the ten to the power of an exponent, however large somebody writes it.
_SECONDS = (
    "if(trade_time_seconds rlike '^-?[0-9]{1,13}([.][0-9]{1,9})?$',"
    " try_cast(trade_time_seconds as decimal(20, 6)), null)"
)
_MICROS = f"try_cast({_SECONDS} * 1000000 as bigint)"

KRAKEN = Exchange(
    name="kraken",
    title="Kraken",
    raw_schemas=("kraken_raw_trade_v1.avsc", "kraken_raw_trade_v2.avsc"),
    columns={
        "exchange_symbol": "symbol",
        "base": _BASE,
        "quote": _QUOTE,
        "trade_id": "cast(trade_id as string)",
        "price": "price",
        "quantity": "quantity",
        "side": "case side when 'b' then 'BUY' when 's' then 'SELL' end",
        "timestamp": f"timestamp_micros({_MICROS})",
        "trade_conditions": (
            "filter(array(case order_type when 'l' then 'limit' when 'm' then 'market'"
            " else order_type end, misc), condition -> condition <> '')"
        ),
        "source_sequence": "trade_id",
        "ingestion_timestamp": "timestamp_micros(ingestion_timestamp)",
    },
    vendor={
        "order_type": "order_type",
        "misc": "misc",
        "sequence_in_message": "sequence_in_message",
    },
    identity=Identity(
        space="symbol",
        number="trade_id",
        # Two fills of one order can share time, pair and price: every field counts, and the place.
        fields=(
            "concat_ws('|', symbol, price, quantity, trade_time_seconds, side, order_type, misc,"
            " cast(coalesce(sequence_in_message, 0) as string))"
        ),
    ),
    ids_have_no_gaps=True,
)
