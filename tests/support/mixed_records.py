"""Records of each kind that Silver meets, and one of a schema that nobody knows yet."""

import json

from tests.support.trades import (
    KRAKEN_V1_ID,
    KRAKEN_V2_ID,
    SCHEMA_TEXT,
    avro,
    framed,
    header,
    kraken_raw,
)

V1_FIELDS = kraken_raw().keys() - {"trade_id", "sequence_in_message"}
NEW_ID = 77
NEW_SCHEMA = json.dumps(
    json.loads(SCHEMA_TEXT[KRAKEN_V2_ID])
    | {
        "fields": [
            *json.loads(SCHEMA_TEXT[KRAKEN_V2_ID])["fields"],
            {"name": "venue", "type": "string", "default": ""},
        ]
    }
)


def trade(number, **changes):
    return framed(kraken_raw(trade_id=number, **changes))


def of_new_schema(number):
    return header(NEW_ID) + avro(kraken_raw(trade_id=number) | {"venue": "x"}, NEW_SCHEMA)


# Two trades, the first again, a broken rule, what is no record, and a trade without number.
MIXED = (
    trade(1),
    trade(2),
    trade(1),
    trade(3, price="-1", side="x"),
    b"garbage",
    framed({k: v for k, v in kraken_raw().items() if k in V1_FIELDS}, KRAKEN_V1_ID),
    None,
)
