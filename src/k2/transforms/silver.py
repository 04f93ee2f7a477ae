"""From Bronze rows to everything that Silver's tables need, in one pass."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from k2.exchanges.exchange import Exchange
from k2.quality.rules import TRADE_RULES
from k2.tables.columns import TRADE as TRADE_FIELDS
from k2.transforms.decode import decode
from k2.transforms.normalize import LINEAGE, normalize
from k2.transforms.screen import DEAD_LETTER, TRADE, screen

STAGE = "silver"
_FIELDS = tuple(field.name for field in TRADE_FIELDS)


def to_silver(
    bronze: DataFrame,
    exchange: Exchange,
    writer_schemas: Mapping[int, str | None],
    reader: str,
    carried: Sequence[str] = (),
) -> DataFrame:
    """Decode, normalise and judge Bronze rows. One row in, one row out.

    Returns:
        ``outcome`` (``trade`` or ``dead_letter``), ``identity_number``, and every column of the
        exchange's Silver, duplicates and dead-letter tables under its own name. Of a trade the dead
        letter's columns are null, and of a dead letter the trade's. And the ``carried`` columns of
        ``bronze``, untouched: such as Silver does not have.
    """
    decoded = decode(bronze, writer_schemas, reader)
    # The value is needed here, carried or not.
    further = [name for name in carried if name not in LINEAGE]
    judged = screen(normalize(decoded, exchange, further), TRADE_RULES)
    is_trade, is_dead = F.col("outcome") == TRADE, F.col("outcome") == DEAD_LETTER
    broker_day = F.to_date("kafka_timestamp")
    return judged.select(
        "outcome",
        "identity_number",
        *(F.when(is_trade, F.col(name)).alias(name) for name in _FIELDS),
        F.when(is_trade, F.to_date("timestamp")).alias("exchange_date"),
        "topic",
        "partition",
        "offset",
        "schema_id",
        "kafka_timestamp",
        F.when(is_dead, F.col("value")).alias("raw_record"),
        "error_type",
        "error_reasons",
        F.when(is_dead, STAGE).alias("stage"),
        # The broker's clock: the same row whenever the record is judged again.
        F.col("kafka_timestamp").alias("error_timestamp"),
        broker_day.alias("dlq_date"),
        broker_day.alias("dup_date"),
        *carried,
    )
