"""Read an upstream table as a stream."""

from typing import TYPE_CHECKING

from k2.home.paths import file_uri
from k2.settings import Settings
from k2.storage.delta import table_path
from k2.storage.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def new_rows(
    spark: "SparkSession",
    settings: Settings,
    table: Table,
    most_files: int,
    most_bytes: int | None = None,
) -> "DataFrame":
    """Return a table's rows as they are appended, at most so many files and bytes a batch."""
    rows = (
        spark.readStream.format("delta")
        # From the first commit on: a first snapshot would come in no order.
        .option("startingVersion", 0).option("maxFilesPerTrigger", most_files)
    )
    if most_bytes is not None:
        rows = rows.option("maxBytesPerTrigger", f"{most_bytes}b")
    return rows.load(file_uri(table_path(settings.lake, table)))
