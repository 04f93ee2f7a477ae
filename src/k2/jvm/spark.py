"""The Spark session, with the same settings on one machine, under spark-submit and in tests."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pyspark import SparkConf
from pyspark.sql import SparkSession

from k2.environment import inherited
from k2.home.paths import file_uri
from k2.jvm.driver_environment import prepare_driver_environment
from k2.jvm.native_libraries import native_library_options
from k2.settings import Settings

_IN_ONE_PROCESS = {
    # A laptop's own name may resolve to an address that a firewall or a changed network does not answer.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # By default rows of a task above 1 MiB go through sockets to the process that they are in. Half a
    # batch of trades has 15 MB; larger ones may go to disk on their way.
    "spark.task.maxDirectResultSize": "32m",
}

# Without its native library, which PySpark does not bring, Hadoop starts a program for whatever it
# does to a local file: forty for the two files of a batch that it had kept, 70 and 70 ms of a small
# one, and on busy cores 280 and 280. The one named here does the same through Java.
_FILES_WITHOUT_PROGRAMS = {
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager"
    ),
}

# A namespace that outlives an application, so that a series goes on after a restart.
_METRICS = {
    "spark.metrics.namespace": "k2",
    "spark.metrics.conf.*.sink.prometheusServlet.class": (
        "org.apache.spark.metrics.sink.PrometheusServlet"
    ),
    "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
    "spark.metrics.conf.*.source.jvm.class": "org.apache.spark.metrics.source.JvmSource",
    "spark.ui.prometheus.enabled": "true",
    "spark.sql.streaming.metricsEnabled": "true",
}

# Java's second compiler makes what every record passes through three times as fast. By its own thresholds
# it also takes what only plans a batch, which at the start is most of what runs: forty times theirs.
SECOND_COMPILER_LATE = (
    "-XX:Tier4InvocationThreshold=200000",
    "-XX:Tier4MinInvocationThreshold=24000",
    "-XX:Tier4CompileThreshold=600000",
    "-XX:Tier4BackEdgeThreshold=1600000",
)

# What the UI does not show: Spark looks for it in the names of settings and in their values.
_SECRETS = (
    r"(?i)secret|passw(or)?d|passphrase|token|credential|jaas|(access|api|private)[._-]?key"
    r"|://[^/\s@]+@"
)


def spark_session(
    settings: Settings,
    app_name: str,
    jars: list[Path] | None = None,
    java_home: Path | None = None,
    java_options: Sequence[str] = (),
) -> SparkSession:
    """Return the session; it is started if there is none.

    Args:
        settings: where it runs and how large it is; under ``spark-submit`` the master, the driver's
            memory and the jars are those of the submission.
        app_name: shown in the UI and in the cluster's list.
        jars: the connectors, for a driver that this process starts itself.
        java_home: the Java for that driver; None for the one that Spark finds.
        java_options: further options for it.
    """
    builder = SparkSession.builder.appName(app_name)
    master = settings.spark_master if jars is not None else SparkConf().get("spark.master", "")
    for name, value in session_options(settings, str(master)).items():
        builder = builder.config(name, value)
    if jars is not None:
        # Set before the JVM starts: later is too late for its class path and its heap.
        prepare_driver_environment(inherited(), settings.spark_master.startswith("local"))
        os.environ["PYSPARK_SUBMIT_ARGS"] = _submission(settings, jars, java_options)
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        if java_home is not None:
            os.environ["JAVA_HOME"] = str(java_home)
        if settings.spark_master.startswith("local"):
            os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
            for name, value in _FILES_WITHOUT_PROGRAMS.items():
                builder = builder.config(name, value)
        builder = builder.master(settings.spark_master)
    return builder.getOrCreate()


def session_options(settings: Settings, master: str) -> dict[str, str]:
    """Return the options that every session of K2 has, whoever starts it."""
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": file_uri(settings.home / "spark-warehouse"),
        "spark.scheduler.mode": "FAIR",
        "spark.ui.port": str(settings.ui_port),
        **(_IN_ONE_PROCESS if master.startswith("local") else {}),
        "spark.ui.showConsoleProgress": "false",
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.sql.streaming.ui.retainedProgressUpdates": "20",
        **_METRICS,
        "spark.redaction.regex": _SECRETS,
        # A checkpoint pins the number of shuffle partitions at its first start.
        "spark.sql.shuffle.partitions": "2",
        # ICU's rules for lower case, of which hexadecimal digits need none, look at every character
        # that there is before the first row: half a second.
        "spark.sql.icu.caseMappings.enabled": "false",
        "spark.sql.streaming.minBatchesToRetain": "10",
        # Without a limit, whoever ends a run waits for a query that waits itself: it closes its client of
        # a Kafka that is gone without one, which took up to four minutes.
        "spark.sql.streaming.stopTimeout": "30s",
        "spark.sql.streaming.noDataMicroBatches.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.io.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # This number is Spark's for no limit. With one it adds up an Arrow batch's size at every row,
        # which for a column of lists that are null goes through all rows before; rows are limited.
        "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
        # To compress what is kept for a batch costs more than the memory is worth.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        # Rows handed in stay Arrow's: as part of the plan the optimizer would decide them one by one,
        # and ten batches of such plans, until Python lets go of them, filled the heap.
        "spark.sql.execution.arrow.localRelationThreshold": "0",
    }


def _submission(settings: Settings, jars: Sequence[Path], java_options: Sequence[str]) -> str:
    """Return the arguments of ``spark-submit``, quoted: folders may have spaces."""
    # PySpark takes the words apart, and then Spark's launcher the options among them.
    options = [*_java_options(settings), *java_options]
    quoted = ('"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"' for option in options)
    arguments = ["--driver-memory", settings.driver_memory]
    arguments += ["--driver-java-options", " ".join(quoted)]
    # Executors of a cluster fetch the jars; one local process just reads them.
    if settings.spark_master.startswith("local"):
        arguments += ["--driver-class-path", ":".join(map(str, jars))]
    else:
        arguments += ["--jars", ",".join(map(str, jars))]
    return shlex.join([*arguments, "pyspark-shell"])


def _java_options(settings: Settings) -> list[str]:
    return [
        "-XX:+UseSerialGC",
        *SECOND_COMPILER_LATE,
        # Else one thread dies, its query waits for it for ever, and all looks well.
        "-XX:+ExitOnOutOfMemoryError",
        *native_library_options(settings),
        f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}",
        f"-Dk2.logs={settings.logs}",
        f"-Dk2.home={settings.home}",
        f"-Dderby.system.home={settings.run}",
    ]
