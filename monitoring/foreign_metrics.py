"""Metrics that rules and dashboards use and others export: Spark, the JMX exporter, Prometheus.

Spark's have these names by the options of ``k2.jvm.spark``, and a test scrapes a real one for them;
those of JMX are made by the rules in ``jmx/``.
"""

SPARK_DRIVER = frozenset(
    {
        "metrics_k2_driver_jvm_heap_used_Value",
        "metrics_k2_driver_jvm_heap_max_Value",
        "metrics_k2_driver_jvm_heap_usage_Value",
        "metrics_k2_driver_ExecutorMetrics_TotalGCTime_Value",
    }
)
SPARK_EXECUTORS = frozenset(
    {
        "metrics_executor_maxTasks",
        "metrics_executor_activeTasks",
        "metrics_executor_failedTasks_total",
        "metrics_executor_totalGCTime_seconds_total",
        "metrics_executor_totalDuration_seconds_total",
    }
)
JMX = frozenset(
    {
        "k2_jmx_host_cpu_usage_ratio",
        "k2_jmx_host_load1",
        "k2_jmx_host_cpus",
        "k2_jmx_host_memory_free_bytes",
        "k2_jmx_host_memory_total_bytes",
        "k2_jmx_heap_used_bytes",
        "k2_jmx_heap_max_bytes",
    }
)
PROMETHEUS = frozenset({"up"})
