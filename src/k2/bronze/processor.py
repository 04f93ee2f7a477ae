"""The Bronze stream writes Kafka's records to a table, untouched."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from k2.avro.wire_format import NEEDED, to_bronze
from k2.bronze.batch_limit import BatchLimit
from k2.bronze.reread import reread
from k2.bronze.table import bronze_trades
from k2.bronze.topic_identity import TopicIdentity
from k2.bronze.topic_progress import VERSION, bronze_checkpoint, unread_records
from k2.engine.processor import BatchResult
from k2.engine.stream import Stream
from k2.exchanges import Exchange
from k2.home.login import kafka_java_options
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog
from k2.storage.delta import ensure_table
from k2.storage.table import Layer
from k2.storage.writers.writer import Batch, TableWriter, TxnId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Spark asks for a partition's ends at each poll, and the client then throws away what it had fetched
# beyond it: so a poll takes all that a fetch brings, 1 MiB.
_RECORDS_A_POLL = 20_000
# A query that waits for Kafka does not let itself be stopped. The client's own minute is what somebody
# would wait who ends a run whose Kafka is gone; a query that fails sooner is started again.
_ANSWER_MILLISECONDS = 15_000


def bronze_stream(
    exchange: Exchange, settings: Settings, writer: TableWriter, bootstrap: str
) -> Stream:
    """Return the stream that reads an exchange's topic from its first record; a record that Kafka deleted before
    it was read fails the stream."""
    checkpoint = bronze_checkpoint(settings, exchange)
    limit = BatchLimit(settings, checkpoint, exchange.topic, bootstrap)
    table = bronze_trades(exchange)

    def source(spark: "SparkSession") -> "DataFrame":
        is_ours = bootstrap != settings.kafka  # the local stack, which asks for no login
        login = {} if is_ours else kafka_java_options(settings)
        stored = ensure_table(settings.lake, table)
        written = stored.transaction_version(f"{Layer.BRONZE}-{exchange.name}/v{VERSION}")
        records = (
            spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", str(bootstrap))
            .options(**{f"kafka.{name}": value for name, value in login.items()})
            .option("subscribe", exchange.topic)
            .option("startingOffsets", "earliest")
            .option("failOnDataLoss", "true")
            .option("includeHeaders", "true")
            # Kafka's own default gives records of transactions that were aborted.
            .option("kafka.isolation.level", "read_committed")
            .option("maxOffsetsPerTrigger", limit.records(written))
            .option("kafka.max.poll.records", _RECORDS_A_POLL)
            .option("kafka.request.timeout.ms", _ANSWER_MILLISECONDS)
            .option("kafka.default.api.timeout.ms", _ANSWER_MILLISECONDS)
            .load()
        )
        return records.select(*NEEDED)

    return Stream(
        name=f"{Layer.BRONZE}-{exchange.name}",
        layer=Layer.BRONZE,
        exchange=exchange,
        version=VERSION,
        tables=(table,),
        source=source,
        is_in_every_batch=True,
        processor=BronzeProcessor(exchange, settings, limit.observe),
        writer=writer,
        unread=lambda: unread_records(settings, exchange, bootstrap),
        reread=lambda spark, batch, error: reread(
            spark, checkpoint, bootstrap, exchange.topic, batch, error
        ),
        check_source=TopicIdentity(checkpoint, bootstrap, exchange.topic).check,
    )


@dataclass(frozen=True)
class BronzeProcessor:
    """Writes Kafka's records to the exchange's table."""

    exchange: Exchange
    settings: Settings
    observe: Callable[[int, int], None] = lambda rows, nbytes: None

    def process(self, batch: Batch, txn: TxnId) -> BatchResult:
        """Append the records. ``ingested_at`` is the time at which the batch was planned, however often it runs.

        Raises:
            UnavailableError: the records are of another size than the batch limit is for. The batch is
                written; the query starts again with another limit.
        """
        read_at = OffsetLog(self.settings.checkpoint(txn.app_id)).planned_at(txn.version)
        shape = partial(to_bronze, topic=self.exchange.topic, ingested_at=read_at)
        table = bronze_trades(self.exchange)
        bronze = batch.map_arrow(shape, table.row_schema)
        written = bronze.append(table, txn)
        if written.version is not None:
            self.observe(written.rows, bronze.nbytes)
        return BatchResult(txn.app_id, txn.version, written, output=bronze)

    def close(self) -> None:
        """Nothing is open."""
