"""``ops_feed_sessions``: what happened to live feeds, a row for each event and market concerned."""

import pyarrow as pa

from k2.storage.columns import COORDINATES, KAFKA_TIMESTAMP, TIMESTAMP_US_UTC, column, date
from k2.storage.table import Layer, Table

_TEXT, _TIME, _LONG = pa.string(), TIMESTAMP_US_UTC, pa.int64()

OPS_FEED_SESSIONS = Table(
    name="ops_feed_sessions",
    layer=Layer.OPS,
    comment="What happened to live feeds: connections, gaps, what exchanges say of themselves.",
    schema=pa.schema(
        [
            column("at", _TIME, "When it happened, by the feed's clock, UTC", True),
            column("event", _TEXT, "Such as connected, disconnected, gap_opened", True),
            column("exchange", _TEXT, "Lower-case name of the exchange", True),
            column("service", _TEXT, "The live service, such as binance-spot", True),
            column("symbol", _TEXT, "The market concerned; null: all of the session, or unknown"),
            column("exchange_symbol", _TEXT, "The exchange's own name of the market"),
            column("session_id", _TEXT, "The connection; null where it is of none"),
            column("reason", _TEXT, "Why, in words"),
            column("first_id", _LONG, "Of a gap: the first number that is missing"),
            column("last_id", _LONG, "Of a gap: the last one"),
            column("after_at", _TIME, "Of a gap: the exchange's time of the trade before it"),
            column("before_at", _TIME, "Of a gap: the exchange's time of the trade after it"),
            column("detail", _TEXT, "JSON object of all else that the event says"),
            column("position", pa.int32(), "Place of the market in the event", True),
            *COORDINATES,
            KAFKA_TIMESTAMP,
            date("day", "UTC day of at"),
        ]
    ),
    key=("partition", "offset", "position"),
    partitioned_by=("day",),
    stats_columns=("at", "exchange", "partition", "offset", "kafka_timestamp"),
)
