"""The Bronze stream: Kafka's records to a table, untouched."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from k2.exchanges import Exchange
from k2.io.kafka import published
from k2.io.table_writer import TableWriter, WriteId
from k2.settings import Settings
from k2.streams.stream import BatchReport, Stream
from k2.tables import Layer, Table, bronze_trades
from k2.transforms.wire_format import to_bronze

# Spark asks for a partition's ends at each poll, and the client then throws away what it had fetched
# beyond it: so a poll takes all that a fetch brings, 1 MiB.
_RECORDS_A_POLL = 20_000


def bronze_stream(
    exchange: Exchange, settings: Settings, writer: TableWriter, bootstrap: str
) -> Stream:
    """Read an exchange's topic from its first record; a record that is gone fails the stream."""

    def source(spark: SparkSession) -> DataFrame:
        records = (
            spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", bootstrap)
            .option("subscribe", exchange.topic)
            .option("startingOffsets", "earliest")
            .option("failOnDataLoss", "true")
            .option("includeHeaders", "true")
            .option("maxOffsetsPerTrigger", settings.max_records_per_batch)
            .option("kafka.max.poll.records", _RECORDS_A_POLL)
            .load()
        )
        return to_bronze(records.withColumn("ingested_at", _batch_time()))

    table = bronze_trades(exchange)
    return Stream(
        layer=Layer.BRONZE,
        exchange=exchange,
        version=1,
        tables=(table,),
        source=source,
        sink=lambda _: CopySink(table, writer),
        published=lambda: published(bootstrap, exchange.topic),
    )


def _batch_time() -> Column:
    """Return the batch's time, which Spark keeps with its offsets: the same on every run of it.

    By itself it would be a number in the code that Spark generates: code of its own for every batch,
    which is compiled anew and never gets warm. Of a function like transform() Spark generates none.
    """
    return F.transform(F.array(F.current_timestamp()), lambda time: time).getItem(0)


@dataclass(frozen=True)
class CopySink:
    """Writes a batch to one table as it is."""

    table: Table
    writer: TableWriter

    def write(self, rows: DataFrame, write_id: WriteId) -> list[BatchReport]:
        """Append the batch."""
        with self.writer.batch(rows) as batch:
            return [BatchReport(write_id.app, write_id.batch, batch.append(self.table, write_id))]

    def close(self) -> None:
        """Hold nothing."""
