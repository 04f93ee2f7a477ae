"""A DataFrame's rows transformed as Arrow tables, in Python beside Spark's executors."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType
from pyspark.sql.udf import UserDefinedFunction
from pyspark.util import PythonEvalType

from k2.storage.writers.writer import Transform


def map_in_arrow(rows: DataFrame, transform: Transform, columns: StructType) -> DataFrame:
    """Return what ``transform`` makes of the rows, a part at a time; it has these ``columns``.

    Executors call it by its name, so they need K2's package as the driver has it.

    This is :meth:`DataFrame.mapInArrow` but for one thing: that insists on pandas (PySpark 4.0.2),
    which neither side uses and which PyArrow, where there is one, takes two seconds to import.
    """

    def each_part(parts: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            yield from transform(pa.Table.from_batches([part])).to_batches()

    kind = PythonEvalType.SQL_MAP_ARROW_ITER_UDF
    call = UserDefinedFunction(each_part, columns, evalType=kind)(*rows.columns)
    return DataFrame(rows._jdf.mapInArrow(call._jc, False, None), rows.sparkSession)
