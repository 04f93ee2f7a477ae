"""Kraken spot, websocket v1 (no trade ids) and v2: how a trade becomes a K2 trade.

Source: the exchange's documents of the ``trade`` channel, versions 1 and 2.
"""

from k2.exchanges.exchange import Exchange, Identity, Numbering
from k2.exchanges.names import separated_by

# "seconds.micros" as exact text; a float would lose the last digits. No time of the years until 9999 has
# more than twelve digits of seconds. Digits beyond the sixth are cut: a trade belongs to its own day.
_MICROS = "'-?[0-9]{1,12}[.][0-9]{6}'"
_COARSER = "'-?[0-9]{1,12}([.][0-9]{1,5})?'"
_FINER = "'(-?[0-9]{1,12}[.][0-9]{6})[0-9]{1,12}'"


def _whole(micros: str) -> str:
    return f"cast(replace({micros}, '.', '') as bigint)"


_CUT = f"regexp_extract(trade_time_seconds, {_FINER}, 1)"

KRAKEN = Exchange(
    name="kraken",
    title="Kraken",
    raw_schemas=(
        *("kraken_raw_trade_v1.avsc", "kraken_raw_trade_v2.avsc"),
        "kraken_raw_trade_v3.avsc",
    ),
    columns={
        "exchange_symbol": "symbol",
        "trade_id": "cast(trade_id as string)",
        "price": "price",
        "quantity": "quantity",
        "side": "case side when 'b' then 'BUY' when 's' then 'SELL' end",
        "timestamp": (
            f"case when regexp_full_match(trade_time_seconds, {_MICROS})"
            f" then {_whole('trade_time_seconds')}"
            f" when regexp_full_match(trade_time_seconds, {_COARSER})"
            " then cast(cast(trade_time_seconds as decimal(20, 6)) * 1000000 as bigint)"
            f" when regexp_full_match(trade_time_seconds, {_FINER}) then {_whole(_CUT)} end"
        ),
        "trade_conditions": (
            "list_filter([case order_type when 'l' then 'limit' when 'm' then 'market'"
            " else order_type end, misc], lambda condition: condition <> '')"
        ),
        "source_sequence": "trade_id",
        "ingestion_timestamp": "ingestion_timestamp",
    },
    vendor={
        "order_type": "order_type",
        "misc": "misc",
        "sequence_in_message": "sequence_in_message",
    },
    read_name=separated_by("/"),
    equity_code="[A-Z0-9.]+x",  # as AAPLx: Kraken names its tokenised stocks so
    identity=Identity(
        id_space="symbol",
        first="trade_id",
        # Two fills of one order can share time, pair and price: every field counts, and the place.
        fields=(
            "concat_ws('|', symbol, price, quantity, trade_time_seconds, side, order_type, misc,"
            " cast(coalesce(sequence_in_message, 0) as string))"
        ),
    ),
    # Version 1 has no ids, and null proves nothing.
    numbering=Numbering(),
)
