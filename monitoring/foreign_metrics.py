"""Metrics that rules and dashboards use and others export: Spark, the JMX exporter, Prometheus.

A test scrapes a real Spark for those of Spark; those of JMX are made by the rules in ``jmx/``.
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
    }
)
JMX = frozenset(
    {
        "k2_jmx_host_cpu_usage_ratio",
        "k2_jmx_host_load1",
        "k2_jmx_host_cpus",
        "k2_jmx_host_memory_free_bytes",
        "k2_jmx_host_memory_total_bytes",
    }
)
PROMETHEUS = frozenset({"up"})

# What spark_session must set for the names above, and for a namespace that outlives an application.
SPARK_OPTIONS = {
    "spark.metrics.namespace": "k2",
    "spark.metrics.conf.*.sink.prometheusServlet.class": (
        "org.apache.spark.metrics.sink.PrometheusServlet"
    ),
    "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
    "spark.metrics.conf.*.source.jvm.class": "org.apache.spark.metrics.source.JvmSource",
    "spark.ui.prometheus.enabled": "true",
    "spark.sql.streaming.metricsEnabled": "true",
}
