"""Store the results of quality checks in ``ops_quality_results``: a row for each finding of each run."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from k2.storage.columns import TIMESTAMP_US_UTC, column, date, list_of
from k2.storage.scan import scan_table
from k2.storage.table import Layer, Table

_TEXT, _TIME = pa.string(), TIMESTAMP_US_UTC

OPS_QUALITY_RESULTS = Table(
    name="ops_quality_results",
    layer=Layer.OPS,
    comment="What quality checks found: a row for each exchange or market and run, violated or not.",
    schema=pa.schema(
        [
            column("run_id", _TEXT, "The run; all rows of it have the same", True),
            column("check", _TEXT, "Name of the check", True),
            column("severity", _TEXT, "error or warning", True),
            column("status", _TEXT, "passed, failed, or crashed: the check itself did", True),
            column("exchange", _TEXT, "The exchange; empty for all of them", True),
            column("symbol", _TEXT, "The market; empty for all of them", True),
            column("value", pa.float64(), "What was measured"),
            column("threshold", pa.float64(), "Above it the check is violated"),
            column("count", pa.int64(), "Rows concerned", True),
            column("total", pa.int64(), "Rows looked at", True),
            column("keys", list_of(_TEXT), "The first of the rows concerned", True),
            column("message", _TEXT, "What was found, in words", True),
            column("window_start", _TIME, "Broker time that the run looked at, from", True),
            column("window_end", _TIME, "Until then", True),
            column("run_at", _TIME, "When the run began, UTC", True),
            date("day", "UTC day of run_at"),
        ]
    ),
    key=("run_id", "exchange", "symbol", "message"),
    partitioned_by=("day",),
    stats_columns=("check", "run_at"),
)


def read_results(lake: Path, since: datetime, check: str = "") -> pa.Table:
    """Return the stored results since then, newest first; of one check, if it is named."""
    where: list[tuple[str, str, Any]] = [("run_at", ">=", since)]
    if check:
        where.append(("check", "=", check))
    rows = scan_table(lake, OPS_QUALITY_RESULTS, where=where).table()
    return rows.sort_by([("run_at", "descending"), ("check", "ascending")])
