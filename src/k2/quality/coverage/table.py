"""The tables of coverage: ``ops_coverage``, a row for each exchange, market and hour, and what was accepted."""

import pyarrow as pa

from k2.storage.columns import TIMESTAMP_US_UTC, column, date, list_of
from k2.storage.table import Layer, Table

MAX_GAPS = 100  # that a row names, the largest; its numbers are always whole

_TEXT, _LONG, _TIME = pa.string(), pa.int64(), TIMESTAMP_US_UTC
_GAP = pa.struct(
    [
        ("first_id", _LONG),
        ("last_id", _LONG),
        ("start", _TIME),
        ("end", _TIME),
        ("class", _TEXT),
        ("state", _TEXT),
        ("reason", _TEXT),
        ("found_at", _TIME),
    ]
)

OPS_COVERAGE = Table(
    name="ops_coverage",
    layer=Layer.OPS,
    comment="What is there of each exchange, market and UTC hour, and what is missing.",
    schema=pa.schema(
        [
            column("exchange", _TEXT, "Lower-case name of the exchange", True),
            column("symbol", _TEXT, "The market; empty: records of no market that is known", True),
            column("hour", _TIME, "Begin of the hour, UTC", True),
            column("condition", _TEXT, "available, degraded, pending or missing", True),
            column("trades", _LONG, "Rows of Silver that happened in the hour", True),
            column("gold_trades", _LONG, "Rows of Gold that happened in the hour", True),
            column("observed", _LONG, "Numbers of the exchange that are there; null: no numbers"),
            column("expected", _LONG, "Observed ones, and those of gaps that end in the hour"),
            column("missing", _LONG, "Numbers of the gaps that end in the hour", True),
            column("first_id", _LONG, "Smallest number of the hour's trades"),
            column("last_id", _LONG, "Largest number of the hour's trades"),
            column("first_at", _TIME, "Time of the hour's first trade"),
            column("last_at", _TIME, "Time of the hour's last trade"),
            column("gaps", list_of(_GAP), "Gaps that touch the hour, the largest hundred", True),
            column("gap_count", _LONG, "Gaps that end in the hour, named or not", True),
            column("duplicates", _LONG, "Further records of trades, by broker time", True),
            column("dead_letters", _LONG, "Records that are no trade, by broker time", True),
            column("late", _LONG, "Trades that reached the broker late", True),
            column("silence_seconds", pa.float64(), "Longest time without a trade", True),
            column("updated_at", _TIME, "When the row was computed last, UTC", True),
            date("day", "UTC day of hour"),
        ]
    ),
    key=("exchange", "symbol", "hour"),
    partitioned_by=("day",),
    stats_columns=("hour", "exchange", "symbol", "updated_at"),
)

OPS_COVERAGE_ACCEPTED = Table(
    name="ops_coverage_accepted",
    layer=Layer.OPS,
    comment="Gaps that somebody accepted, with the reason.",
    schema=pa.schema(
        [
            column("exchange", _TEXT, "Lower-case name of the exchange", True),
            column("symbol", _TEXT, "The market", True),
            column("first_id", _LONG, "First number of the range; null: by time"),
            column("last_id", _LONG, "Last number of the range; null: by time"),
            column("start", _TIME, "Begin of the range; null: by number"),
            column("end", _TIME, "End of the range; null: by number"),
            column("reason", _TEXT, "Why", True),
            column("accepted_at", _TIME, "When, UTC", True),
            date("day", "UTC day of accepted_at"),
        ]
    ),
    key=("exchange", "symbol", "first_id", "last_id", "start", "end", "accepted_at"),
    partitioned_by=("day",),
)
