"""Transform a DataFrame's rows as Arrow tables, in the Python processes of Spark's executors."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType
from pyspark.sql.udf import UserDefinedFunction
from pyspark.util import PythonEvalType

from k2.storage.writers.writer import Transform


def map_in_arrow(rows: DataFrame, transform: Transform, columns: StructType) -> DataFrame:
    """Return the rows transformed by ``transform`` in parts; the result has these ``columns``.

    Executors import ``transform`` by name, so they need the same version of K2 as the driver.

    It differs from :meth:`DataFrame.mapInArrow` in one thing: that requires pandas (PySpark 4.0.2), which
    neither side uses and which, where it is installed, PyArrow takes two seconds to import.
    """

    def each_part(parts: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            yield from transform(pa.Table.from_batches([part])).to_batches()

    kind = PythonEvalType.SQL_MAP_ARROW_ITER_UDF
    call = UserDefinedFunction(each_part, columns, evalType=kind)(*rows.columns)
    return DataFrame(rows._jdf.mapInArrow(call._jc, False, None), rows.sparkSession)
