"""What K2's three dashboards show."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from monitoring.grafana.panels import board, increase_of, of, panel, quantile, rate_of

_STREAM = "{{stream}}"
_DRIVER = "{{driver}}"
FAILED = 'outcome="failed"'


def spark_cluster_health() -> Dashboard:
    """Machines, JVMs and executors."""
    cpu = (
        f"{of('k2_jmx_host_cpu_usage_ratio')} or max by (driver) ({of('k2_host_cpu_usage_ratio')})"
    )
    jmx_memory = (
        f"1 - {of('k2_jmx_host_memory_free_bytes')} / {of('k2_jmx_host_memory_total_bytes')}"
    )
    memory = f"{jmx_memory} or max by (driver) ({of('k2_host_memory_usage_ratio')})"
    load = f"{of('k2_jmx_host_load1')} or max by (driver) ({of('k2_host_load1')})"
    cpus = f"{of('k2_jmx_host_cpus')} or max by (driver) ({of('k2_host_cpus')})"
    gc = of("metrics_k2_driver_ExecutorMetrics_TotalGCTime_Value")
    free, size = of("k2_disk_free_bytes"), of("k2_disk_size_bytes")
    workers = [
        panel("CPU per worker", "percentunit", "CPU of each machine that runs tasks; over 80 % it "
              "has no room for a burst.", (cpu, _DRIVER), line=0.8, highest=1),
        panel("Memory per worker", "percentunit", "Memory of each machine in use; over 90 % the "
              "system may soon kill a process.", (memory, _DRIVER), line=0.9, highest=1,
              runbook="SparkJobOOM"),
        panel("Load average", "short", "Processes that run or want to, over one minute, and the "
              "CPUs there are for them.", (load, f"{_DRIVER} load"), (cpus, f"{_DRIVER} CPUs")),
        panel("Disk of K2_HOME, free", "percentunit", "Free space of the disk that holds tables and "
              "checkpoints; an alert fires below 10 %.", (f"min by (driver) ({free} / {size})",
              _DRIVER), line=0.1, below_is_bad=True, highest=1, runbook="DiskFilling"),
        panel("Inodes of K2_HOME, free", "percentunit", "Files that the disk of tables and checkpoints "
              "can still hold; an alert fires below 10 %.", (f"min by (driver) "
              f"({of('k2_disk_free_inodes_ratio')})", _DRIVER), line=0.1, below_is_bad=True, highest=1,
              runbook="InodesRunningOut"),
    ]  # fmt: skip
    executors = [
        panel("Executors per job", "short", "Executors of each Spark application, the driver's own "
              "included.", (f"count by (driver) ({of('metrics_executor_maxTasks')})", _DRIVER)),
        panel("Tasks that run", "short", "Tasks at work, and the most that can be.",
              (f"sum by (driver) ({of('metrics_executor_activeTasks')})", f"{_DRIVER} running"),
              (f"sum by (driver) ({of('metrics_executor_maxTasks')})", f"{_DRIVER} at most")),
        panel("Garbage collection of executors", "percentunit", "Share of their tasks' time; an alert "
              "fires over 50 %.", (f"{rate_of('metrics_executor_totalGCTime_seconds_total')} / "
              f"({rate_of('metrics_executor_totalDuration_seconds_total')} > 0) or "
              f"0 * {of('metrics_executor_maxTasks')}", "{{driver}} {{executor_id}}"), line=0.5,
              runbook="SparkJobOOM"),
        panel("Tasks that failed", "short", "Failed tasks a minute; Spark repeats them up to four "
              "times.", (f"60 * sum by (driver) ({rate_of('metrics_executor_failedTasks_total')})",
              _DRIVER)),
    ]  # fmt: skip
    jvm = [
        panel("JVM heap", "bytes", "Heap of each driver in use, and the most it may take.",
              (of("metrics_k2_driver_jvm_heap_used_Value"), f"{_DRIVER} used"),
              (of("metrics_k2_driver_jvm_heap_max_Value"), f"{_DRIVER} at most"),
              runbook="SparkJobOOM"),
        panel("JVM heap in use", "percentunit", "An alert fires when it stays over 95 % for 5 "
              "minutes.", (of("metrics_k2_driver_jvm_heap_usage_Value"), _DRIVER), line=0.95,
              highest=1, runbook="SparkJobOOM"),
        # Spark exports it as a gauge in milliseconds, though it only grows.
        panel("Time in garbage collection", "percentunit", "Share of each driver's time; over 10 % "
              "the heap is too small.", (f"deriv({gc}[$__rate_interval]) / 1000", _DRIVER),
              line=0.1, runbook="SparkJobOOM"),
    ]  # fmt: skip
    return board(
        "k2-spark-cluster-health",
        "K2 / Spark Cluster Health",
        "Do the machines, the JVMs and the executors have what they need?",
        [("Workers", workers), ("Executors", executors), ("JVM", jvm)],
    )


def pipeline_health() -> Dashboard:
    """How much flows, how fast, and what holds it up."""
    latency, batch = "k2_e2e_latency_seconds", "k2_batch_processing_duration_seconds"
    gold = 'layer="gold"'
    dead = f"sum by (exchange) ({increase_of('k2_dlq_records_total')})"
    judged = increase_of("k2_records_processed_total", 'layer="silver"')
    flow = [
        panel("Records per minute", "short", "Records that each stream took in.",
              (f"60 * sum by (stream) ({rate_of('k2_records_processed_total')})", _STREAM)),
        panel("End-to-end latency", "s", "From Kafka to Gold: median and 99th percentile. The line is "
              "at 5 minutes; an alert fires at 10.",
              (quantile(0.5, latency, "layer", gold), "p50"),
              (quantile(0.99, latency, "layer", gold), "p99"), line=300,
              runbook="E2ELatencySLABreach"),
        panel("Latency by layer, p99", "s", "From Kafka to each stream's table.",
              (quantile(0.99, latency, "stream"), _STREAM), runbook="E2ELatencySLABreach"),
        panel("Dead-letter share", "percentunit", "Of the records that Silver judged. The line is at "
              "1 %; an alert fires at 5 %.", (f"{dead} / (sum by (exchange) ({judged}) > 0)",
              "{{exchange}}"), line=0.01, runbook="DLQThresholdExceeded"),
        panel("Way to Kafka, p99", "s", "From the exchange to the feed, and from the feed to Kafka.",
              (quantile(0.99, "k2_hop_latency_seconds", "exchange, hop"),
               "{{exchange}} {{hop}}")),
        panel("Age of trades in Gold", "s", "From the exchange's own time to Gold's commit; large for "
              "history that is replayed.", (of("k2_event_age_seconds"), _STREAM)),
    ]  # fmt: skip
    progress = [
        panel("Backlog", "short", "Records upstream that a stream has not taken, measured beside it.",
              (of("k2_backlog_records"), _STREAM), runbook="JobStalled"),
        panel("Lag in seconds", "s", "Age of the newest record of a stream that has a backlog.",
              (of("k2_lag_seconds"), _STREAM), line=600, runbook="JobStalled"),
        panel("Kafka lag", "short", "Offsets that Bronze has not read, as it says itself; below, files "
              "that Silver and Gold have not read.", (of("k2_kafka_lag_offsets"), _STREAM),
              (of("k2_source_lag_files"), f"{_STREAM} files"), runbook="JobStalled"),
        panel("Checkpoint lag per job", "s", "Age of the oldest batch that is planned but not "
              "committed.", (of("k2_checkpoint_lag_seconds"), _STREAM), line=300,
              runbook="CheckpointWriteFailed"),
        panel("Failed batches per job", "short", "Failures by cause; each is tried again if that can "
              "help.", (f"sum by (stream, kind) ({increase_of('k2_batch_failures_total')})",
              "{{stream}} {{kind}}"), runbook="JobStalled"),
        panel("Checkpoint write failures", "short", "Each stops its stream.",
              (increase_of("k2_checkpoint_write_failures_total"), _STREAM),
              runbook="CheckpointWriteFailed"),
        panel("Watermark lag", "s", "How far Gold's event-time watermark is behind the clock; it "
              "observes and drops nothing.", (of("k2_watermark_lag_seconds"), _STREAM)),
    ]  # fmt: skip
    batches = [
        panel("Batch duration, p99", "s", "From a batch's trigger to its commit.",
              (quantile(0.99, batch, "stream"), _STREAM)),
        panel("Batch time by phase", "percentunit", "Share of the clock that each phase of all "
              "batches takes.", (f"sum by (phase) ({rate_of('k2_batch_phase_seconds_total')})",
              "{{phase}}")),
        panel("Streams that run", "short", "1 while a stream runs, 0 while it waits, failed or "
              "stopped; and its starts after failures.",
              (of("k2_stream_running"), _STREAM),
              (increase_of("k2_stream_restarts_total"), f"{_STREAM} restarts"),
              runbook="JobStalled"),
        panel("State", "bytes", "Spark's state store; K2's streams have none.",
              (of("k2_state_bytes"), _STREAM)),
        panel("Files of tables", "short", "Files a reader has to open; maintenance compacts them.",
              (of("k2_table_files"), "{{table}}")),
        panel("Size of tables", "bytes", "Bytes of the files that are part of the newest version.",
              (of("k2_table_bytes"), "{{table}}"), runbook="DiskFilling"),
    ]  # fmt: skip
    jobs = [
        panel("Jobs", "short", "Jobs that are not at their end, by kind and state.",
              (of("k2_jobs", 'state=~"queued|running|paused"'), "{{kind}} {{state}}"),
              runbook="JobStuck"),
        panel("Failed runs of jobs", "short", "Runs that ended as failed.",
              (f"sum by (kind) ({increase_of('k2_job_duration_seconds_count', FAILED)})",
               "{{kind}}"), runbook="JobFailed"),
        panel("Duration of jobs, p99", "s", "Time of a run of a job until its end.",
              (quantile(0.99, "k2_job_duration_seconds", "kind"), "{{kind}}")),
        panel("Failed attempts of steps", "short", "By error; what may work later is tried again.",
              (f"sum by (kind, error) ({increase_of('k2_job_step_failures_total')})",
               "{{kind}} {{error}}"), runbook="JobFailed"),
        panel("Idle job", "s", "Time since the quietest running job did something; an alert fires at "
              "15 minutes.", (of("k2_job_idle_seconds"), "{{kind}}"), line=900, runbook="JobStuck"),
        panel("Events undelivered", "short", "Events that a sink has not taken or has refused.",
              (of("k2_events_undelivered"), "{{sink}}"), line=1, runbook="EventUndelivered"),
        panel("Jobs' registry", "short", "1 while the registry of jobs answers.",
              (of("k2_jobs_registry_up"), _DRIVER), runbook="JobStuck"),
    ]  # fmt: skip
    feed = [
        panel("Live trades per minute", "short", "Trades that each live service brought.",
              (f"60 * sum by (stream) ({rate_of('k2_feed_trades_total')})", _STREAM)),
        panel("Messages of live feeds", "short", "Messages a minute by what they were; rejected ones "
              "are in the exchange's topic of rejected messages.",
              (f"60 * sum by (stream, kind) ({rate_of('k2_feed_messages_total')})",
               "{{stream}} {{kind}}")),
        panel("Age of the newest message", "s", "Since a live service sent anything at all.",
              (f"time() - ({of('k2_feed_last_message_timestamp_seconds')} > 0)", _STREAM), line=60,
              runbook="FeedSilent"),
        panel("Connections of live feeds", "short", "Open connections, ends of connections by cause, "
              "and 1 while an exchange has failed too often to be asked at once.",
              (of("k2_feed_connections"), _STREAM),
              (f"sum by (stream, reason) ({increase_of('k2_feed_disconnects_total')} > 0)"
               f" or sum by (stream) ({increase_of('k2_feed_disconnects_total')})",
               "{{stream}} {{reason}}"),
              (of("k2_feed_breaker_open"), "{{stream}} breaker"), runbook="FeedDown"),
        panel("Trades missing", "short", "Numbers that did not come and may still, and those that "
              "nobody offers any more.",
              (of("k2_feed_open_gap_trades"), "{{stream}} open"),
              (of("k2_feed_final_gap_trades"), "{{stream}} for good"),
              (increase_of("k2_feed_missing_trades_total"), "{{stream}} found missing"), line=1,
              runbook="FeedGapOpen"),
        panel("Way of a live trade", "s", "From the exchange's time to its arrival, half and 99 of "
              "100 trades; from there to the broker's answer; and how far the clocks are apart.",
              (quantile(0.5, "k2_feed_latency_seconds", "stream"), "{{stream}} p50"),
              (quantile(0.99, "k2_feed_latency_seconds", "stream"), "{{stream}} p99"),
              (of("k2_feed_broker_latency_seconds"), "{{stream}} to the broker, p99"),
              (of("k2_feed_clock_offset_seconds"), "{{stream}} clock")),
        panel("Records waiting for Kafka", "short", "In memory and on disk, and those that a full "
              "spool dropped.",
              (of("k2_feed_buffered_records"), _STREAM),
              (increase_of("k2_feed_spool_dropped_total"), "{{stream}} dropped"),
              runbook="FeedGapOpen"),
        panel("Spool", "bytes", "What live feeds keep on disk while Kafka takes no records.",
              (of("k2_feed_spool_bytes"), _STREAM)),
    ]  # fmt: skip
    return board(
        "k2-pipeline-health",
        "K2 / Pipeline Health",
        "How much flows from Kafka to Gold, how fast, and what holds it up?",
        [
            *(("Flow", flow), ("Live feed", feed), ("Progress", progress)),
            *(("Batches and tables", batches), ("Jobs", jobs)),
        ],
    )


def data_quality() -> Dashboard:
    """What arrived, and what was wrong with it."""
    bronze, odd = 'layer="bronze"', 'condition=~"degraded|missing"'
    newest = of("k2_newest_record_timestamp_seconds")
    trade = of("k2_newest_trade_timestamp_seconds")
    dead = increase_of("k2_dlq_records_total")
    ran = of("k2_quality_last_run_timestamp_seconds")
    volume = [
        panel("Records per exchange", "short", "Records a minute that Bronze took from Kafka.",
              (f"60 * sum by (exchange) ({rate_of('k2_records_processed_total', bronze)})",
               "{{exchange}}")),
        panel("Freshness", "s", "Age of the newest record of each stream; it grows while an exchange "
              "is silent.", (f"time() - ({newest} > 0) or {newest}", _STREAM), line=600,
              runbook="JobStalled"),
        panel("Age of the newest trade", "s", "By the exchange's own clock, of what Silver has; large "
              "for history that is replayed.",
              (f"time() - ({trade} > 0) or {trade}", "{{exchange}}"), line=600,
              runbook="FeedSilent"),
        panel("Late trades", "short", "Trades a minute that reached Kafka more than 5 minutes after "
              "they happened; they are kept, and marked.",
              (f"60 * sum by (stream) ({rate_of('k2_late_records_total')})", _STREAM)),
    ]  # fmt: skip
    faults = [
        panel("Schema-validation failures by reason", "short", "Dead letters: undecodable, of an "
              "unknown schema, or against a rule.",
              (f"sum by (exchange, error_type) ({dead})", "{{exchange}} {{error_type}}"),
              runbook="DLQThresholdExceeded"),
        panel("Dead letters", "short", "Records a minute that became dead letters, however few.",
              (f"60 * sum by (exchange) ({rate_of('k2_dlq_records_total')})", "{{exchange}}"),
              runbook="DLQThresholdExceeded"),
        panel("Duplicates", "short", "Further records of trades that Silver has, a minute.",
              (f"60 * sum by (exchange) ({rate_of('k2_duplicate_records_total')})",
               "{{exchange}}")),
        panel("Balance", "short", "Records that are not where they must be, by the last check.",
              (of("k2_balance_difference_records"), "{{of_exchange}}"), line=1,
              runbook="BalanceBroken"),
        panel("Last check of the balance", "dateTimeAsIso", "When the balance was last worked out.",
              (f"1000 * {of('k2_balance_checked_timestamp_seconds')}", "checked"),
              runbook="BalanceBroken"),
    ]  # fmt: skip
    quality = [
        panel("Checks that are violated", "short", "1 while a check's last run found something over "
              "its thresholds, or crashed.",
              (f"max by (check, severity) ({of('k2_quality_check_failed')})", "{{check}} {{severity}}"),
              line=1, runbook="QualityCheckFailed"),
        panel("Violations", "short", "What the last run of each check found, by exchange.",
              (f"sum by (check, exchange) ({of('k2_quality_violations')})",
               "{{check}} {{exchange}}"), runbook="QualityCheckFailed"),
        panel("Time since a check ran", "s", "Each runs every few minutes, some hourly or daily; 0 "
              "before the first run.", (f"time() - ({ran} > 0) or {ran}", "{{check}}"),
              runbook="QualityCheckFailed"),
        panel("Coverage of the last day", "short", "Markets' hours by condition: available, degraded, "
              "pending, missing.",
              (f"sum by (condition) ({of('k2_coverage_rows')})", "{{condition}}"),
              runbook="QualityCheckFailed"),
        panel("Hours degraded or missing", "short", "Of the last day, by exchange.",
              (f"sum by (exchange, condition) ({of('k2_coverage_rows', odd)})",
               "{{exchange}} {{condition}}"), line=1, runbook="QualityCheckFailed"),
        panel("Missing trades", "short", "Trades of the last day in open gaps, by the exchange's own "
              "numbers.", (f"max by (exchange) ({of('k2_coverage_missing_trades')})",
              "{{exchange}}"), line=1, runbook="QualityCheckFailed"),
    ]  # fmt: skip
    return board(
        "k2-data-quality",
        "K2 / Data Quality",
        "Is everything there, once, in time, and what was wrong with the rest?",
        [("Volume", volume), ("Faults", faults), ("Quality and coverage", quality)],
    )


BOARDS = {
    "spark-cluster-health.json": spark_cluster_health,
    "pipeline-health.json": pipeline_health,
    "data-quality.json": data_quality,
}
