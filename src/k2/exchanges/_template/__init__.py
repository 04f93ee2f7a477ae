"""Template spot: how a trade becomes a K2 trade. The folder to copy when an exchange is added.

It is of an exchange that does not exist; docs/how-to/add-an-exchange.md says what to do with it.
Source: name the exchange's documents here, with the day they were read.
"""

from k2.exchanges.exchange import Exchange, Identity, Numbering
from k2.exchanges.names import separated_by

TEMPLATE = Exchange(
    name="template",
    title="Template",
    raw_schemas=("template_raw_trade_v1.avsc",),
    columns={
        "exchange_symbol": "symbol",
        "trade_id": "cast(trade_id as string)",
        "price": "price",
        "quantity": "quantity",
        # The taker's. Where the exchange names the maker's side, it is the other one.
        "side": "case lower(taker_side) when 'buy' then 'BUY' when 'sell' then 'SELL' end",
        # In microseconds. A product that overflows would stop the stream: what is no time gives null.
        "timestamp": (
            "case when trade_time_ms between -62135596799999 and 9223372036854775"
            " then trade_time_ms * 1000 end"
        ),
        "trade_conditions": "[]",
        "source_sequence": "trade_id",
        "ingestion_timestamp": "ingestion_timestamp",
    },
    read_name=separated_by("-"),
    # Ids are of a market and are whole numbers that rise.
    identity=Identity(id_space="symbol", first="trade_id", fields="''"),
    # Only where the exchange skips no id: a missing number is then a missing trade.
    numbering=Numbering(),
)
