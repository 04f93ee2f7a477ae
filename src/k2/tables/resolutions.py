"""The ledger of dead letters that a replay has put right; the dead letters themselves stay."""

from pyspark.sql.types import StringType, StructType, TimestampType

from k2.exchanges.exchange import Exchange
from k2.tables.columns import COORDINATES, KAFKA_TIMESTAMP, column, date
from k2.tables.table import Layer, Table


def resolutions(exchange: Exchange) -> Table:
    """The table of one exchange's resolved dead letters, each once."""
    return Table(
        name=f"dlq_{exchange.name}_resolutions",
        layer=Layer.SILVER,
        comment=f"{exchange.title} dead letters that a replay resolved: what they are, when, how.",
        schema=StructType(
            [
                *COORDINATES,
                column(
                    "outcome",
                    StringType(),
                    "trade: it is in Silver now; duplicate: Silver had its trade already",
                    required=True,
                ),
                column("message_id", StringType(), "The trade's id in Silver", required=True),
                column("replay_id", StringType(), "Which replay", required=True),
                column("resolved_at", TimestampType(), "When that was decided, UTC", required=True),
                KAFKA_TIMESTAMP,
                date("resolved_date", "UTC day of resolved_at"),
            ]
        ),
        key=("topic", "partition", "offset"),
        partitioned_by=("resolved_date",),
        indexed=("partition", "offset", "kafka_timestamp", "resolved_at"),
    )
