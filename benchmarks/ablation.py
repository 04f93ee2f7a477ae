"""What each lever gives and costs: K2 with one of them moved, beside K2 as it is, in one round."""

from statistics import median
from typing import Any

from benchmarks.charts import bars
from benchmarks.comparison import compare, ratios, spread
from benchmarks.contenders import Contender, Figures, k2
from benchmarks.varied import Variant
from k2.jvm import spark

# Each is K2 without the lever, or with the other choice.
LEVERS: dict[str, Variant] = {
    "Spark's table writer": Variant(settings={"table_writer": "spark"}),
    "Spark's table writer, what it keeps compressed": Variant(
        settings={"table_writer": "spark"},
        options={"spark.sql.inMemoryColumnarStorage.compressed": "true"},
    ),
    "streams that read each other's tables": Variant(settings={"chain_streams": "false"}),
    "Java's first compiler only": Variant(java={"": "-XX:TieredStopAtLevel=1"}),
    "Java's own thresholds": Variant(java=dict.fromkeys(spark.SECOND_COMPILER_LATE, "")),
    "tasks' rows through sockets": Variant(options={"spark.task.maxDirectResultSize": "1m"}),
    "G1 instead of the serial collector": Variant(java={"-XX:+UseSerialGC": "-XX:+UseG1GC"}),
    "parallel collector": Variant(java={"-XX:+UseSerialGC": "-XX:+UseParallelGC"}),
    "heap of 512 MB": Variant(settings={"driver_memory": "512m"}),
    "heap of 2 GB": Variant(settings={"driver_memory": "2g"}),
    "batches of 50,000": Variant(settings={"max_records_per_batch": "50000"}),
    "batches of 300,000": Variant(settings={"max_records_per_batch": "300000"}),
    "four cores' worth of tasks": Variant(settings={"spark_master": "local[4]"}),
}


def ablate(records: int, rounds: int, variants: dict[str, Variant]) -> list[dict[str, Figures]]:
    """Measure K2 as it is and every variant, interleaved."""
    contenders: dict[str, Contender] = {"k2": k2}
    for name, variant in variants.items():
        contenders[name] = _contender(name, variant)
    return compare(records, rounds, contenders, contenders)


def against(revision: str) -> dict[str, Variant]:
    """Return the variant that is another commit of K2."""
    return {f"k2 at {revision}": Variant(revision=revision)}


def summary(measured: list[dict[str, Figures]]) -> dict[str, Any]:
    """Return each variant's CPU, time and memory relative to K2 as it is."""
    found: dict[str, Any] = {"k2": [round_["k2"].public() for round_ in measured]}
    for name in measured[0]:
        if name != "k2":
            found[name] = {
                "cpu": spread(ratios(measured, name, "k2")),
                "seconds": spread([r[name].seconds / r["k2"].seconds for r in measured]),
                "memory": spread([r[name].peak_memory / r["k2"].peak_memory for r in measured]),
                "rounds": [round_[name].public() for round_ in measured],
            }
    return found


def as_markdown(measured: list[dict[str, Figures]]) -> str:
    """Return the ablation table: how many times K2's own cost, median and range."""
    lines = [
        "| K2 with | CPU per million | time to Gold | peak memory |",
        "| --- | ---: | ---: | ---: |",
    ]
    cpu: dict[str, float] = {}
    own = [round_["k2"] for round_ in measured]
    lines.append(
        f"| nothing changed | {median(f.cpu_per_million for f in own):.1f} CPU-s |"
        f" {median(f.seconds for f in own):.1f} s | {median(f.peak_memory for f in own) / 1e6:.0f} MB |"
    )
    for name, found in summary(measured).items():
        if name != "k2":
            cpu[name] = found["cpu"]["median"]
            cells = [found[measure] for measure in ("cpu", "seconds", "memory")]
            texts = [f"× {c['median']:.2f} ({c['least']:.2f} – {c['most']:.2f})" for c in cells]
            lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n\n" + bars("CPU, times that of K2 as it is", "times", cpu)


def _contender(name: str, variant: Variant) -> Contender:
    return lambda source: k2(source, variant, f"k2: {name}")
