"""Tables and checkpoints as upkeep finds them."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa

LATENESS = timedelta(minutes=5)


def one_row(number: int, day: int = 7) -> pa.Table:
    """A row of Binance's duplicates, on a day of July."""
    moment = pa.array([datetime(2026, 7, day, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "message_id": [f"binance-20260707-{number:032x}"],
            "reason": ["repeated"],
            "topic": ["market"],
            "partition": pa.array([0], pa.int32()),
            "offset": [number],
            "kafka_timestamp": moment,
            "dup_date": moment.cast(pa.date32()),
        }
    )


def checkpoint(folder, table, version, **more):
    """A stream's checkpoint that has read a table up to, not including, a version."""
    for name in ("commits", "offsets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    source = {"reservoirId": str(table.metadata().id), "reservoirVersion": version, "index": -1}
    source |= more
    (folder / "commits" / "0").write_text("v1\n{}")
    (folder / "offsets" / "0").write_text("v1\n{}\n" + json.dumps(source, separators=(",", ":")))
    return folder
