"""Schema drift: writers' schemas that an exchange's records did not have before."""

from collections.abc import Mapping
from datetime import timedelta

from k2.bronze.table import bronze_trades
from k2.quality.checks.check import Finding, Tables, Window
from k2.sql import literal, query
from k2.storage.scan import scan_table

_KNOWN = timedelta(days=7)


def check_schema_drift(
    tables: Tables, window: Window, limits: Mapping[str, float]
) -> list[Finding]:
    """Return for each exchange the schema ids of the window that the week before it did not have."""
    found = []
    for exchange in tables.exchanges:
        rows = scan_table(
            tables.lake,
            bronze_trades(exchange),
            ["schema_id", "kafka_timestamp"],
            [
                *window.conditions(_KNOWN),
            ],
        )
        since = literal(window.since)
        measured = query(f"""
            select schema_id, count_if(kafka_timestamp > {since}) as new,
                   count_if(kafka_timestamp <= {since}) as before
            from ({rows.sql}) where schema_id is not null group by all order by schema_id
            """).to_pylist()  # noqa: S608 — our own SQL
        had_any = any(row["before"] for row in measured)
        fresh = [row for row in measured if row["new"] and not row["before"] and had_any]
        ids = [str(row["schema_id"]) for row in fresh]
        found.append(
            Finding(
                exchange=exchange.name,
                message=f"new schema ids: {', '.join(ids) or 'none'}",
                value=float(len(fresh)),
                threshold=limits["most"],
                count=sum(row["new"] for row in fresh),
                keys=ids,
            )
        )
    return found
