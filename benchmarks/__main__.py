"""``python -m benchmarks [NAME …] [--quick] [--rounds N]``: measure, print, and keep the results.

Results are in ``reports/``: JSON with every run, and a Markdown table where there is something to
compare. A run whose result is not exact has no figures. See docs/explanation/performance.md.
"""

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    ablation,
    comparison,
    gold_reads,
    growth,
    guard,
    live,
    live_feed,
    scale_out,
    scenarios,
    service_api,
    sizes,
    stages,
)
from benchmarks.contenders import Figures

_REPORTS = Path("reports")


def main() -> int:
    """Measure what is asked for; 1 when the guard finds a ratio twice as bad as recorded."""
    arguments = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped
    if arguments.quick:
        return _quick(arguments.record)
    plan: dict[str, Callable[[], Any]] = {
        "comparison": lambda: _comparison(arguments.records, arguments.rounds),
        "flink": lambda: _flink(arguments.records, arguments.rounds),
        "ablation": lambda: _ablation(arguments),
        "backlog": lambda: growth.backlog([200_000, 1_000_000, 5_000_000]),
        "commits": lambda: growth.commits(arguments.versions),
        "age": lambda: growth.age(arguments.versions),
        "stages": _stages,
        "sizes": lambda: _sizes(arguments.records),
        "idle": lambda: live.idle(60),
        "sustained": _sustained,
        "checks": lambda: scenarios.checks(2_000, 300, 2),
        "burst": lambda: live.burst(50_000, 10, 1_000_000),
        "catch_up_running": lambda: live.catch_up_running(arguments.records, 1_000_000),
        "recovery": lambda: live.recovery(1_000),
        "warm_start": scenarios.warm_start,
        "scale_out": lambda: _scale_out(arguments.records),
        "catch_up": lambda: scenarios.catch_up(arguments.records),
        "gold_reads": _gold_reads,
        "live_feed": live_feed.live_feed,
        "service_api": service_api.service_api,
    }
    for name in arguments.names or list(plan):
        result = plan[name]()
        print(f"{name}: {json.dumps(_without_rounds(result))}", flush=True)
        _keep(name, result)
    return 0


def _comparison(records: int, rounds: int) -> dict[str, Any]:
    return _compared("comparison", comparison.compare(records, rounds))


def _flink(records: int, rounds: int) -> dict[str, Any]:
    with_flink = comparison.WITH_FLINK
    measured = comparison.compare(records, rounds, with_flink, with_flink, comparison.CLEAN)
    return _compared("flink", measured)


def _compared(name: str, measured: list[dict[str, Figures]]) -> dict[str, Any]:
    _keep_table(name, comparison.as_markdown(measured))
    return comparison.summary(measured)


def _ablation(arguments: argparse.Namespace) -> dict[str, Any]:
    variants = dict(ablation.LEVERS)
    if arguments.against:
        variants = ablation.against(arguments.against)
    elif arguments.levers:
        variants = {name: variants[name] for name in arguments.levers}
    measured = ablation.ablate(arguments.records, arguments.rounds, variants)
    _keep_table("ablation", ablation.as_markdown(measured))
    return ablation.summary(measured)


def _sustained() -> list[dict[str, Any]]:
    measured = [scenarios.sustained(rate, 300) for rate in (1_000, 10_000)]
    _keep_table("sustained", "\n".join(map(scenarios.as_markdown, measured)))
    return measured


def _stages() -> dict[str, Any]:
    measured = stages.stages(400_000, 100_000)
    _keep_table("stages", stages.as_markdown(measured))
    return measured


def _sizes(records: int) -> dict[str, Any]:
    measured = sizes.sizes(records, 100_000)
    _keep_table("sizes", sizes.as_markdown(measured))
    return measured


def _scale_out(records: int) -> list[dict[str, Any]]:
    measured = scale_out.scale_out(records)
    _keep_table("scale_out", scale_out.as_markdown(measured))
    return measured


def _gold_reads() -> dict[str, Any]:
    measured = gold_reads.beside_clickhouse(10_000_000)
    _keep_table("gold_reads", gold_reads.as_markdown(measured))
    return measured


def _quick(record: bool) -> int:
    measured = comparison.compare(100_000, 1, ("stock", "lean", "k2"))
    result = _compared("bench-quick", measured)
    _keep("bench-quick", result)
    if record:
        guard.record(result["ratios"])
    found = guard.regressions(result["ratios"])
    for sentence in found:
        print(f"REGRESSION: {sentence}")
    return 1 if found else 0


def _keep(name: str, result: Any) -> None:
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "at": time.strftime("%F %T")}
    _REPORTS.mkdir(exist_ok=True)
    report = _REPORTS / f"{name}.json"
    report.write_text(json.dumps({"machine": machine, "result": result}, indent=2) + "\n")


def _keep_table(name: str, table: str) -> None:
    _REPORTS.mkdir(exist_ok=True)
    (_REPORTS / f"{name}.md").write_text(table)
    print(table, flush=True)


def _without_rounds(result: Any) -> Any:
    if isinstance(result, dict):
        return {n: _without_rounds(v) for n, v in result.items() if n not in ("rounds", "runs")}
    return result


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="What to measure; nothing named: everything.")
    parser.add_argument("--quick", action="store_true", help="The regression guard, in minutes.")
    parser.add_argument("--record", action="store_true", help="With --quick: keep the ratios.")
    parser.add_argument("--rounds", type=int, default=3, help="Rounds of a comparison.")
    parser.add_argument("--records", type=int, default=1_000_000, help="Records in Kafka.")
    parser.add_argument("--versions", type=int, default=1_000, help="How old tables become.")
    parser.add_argument("--levers", nargs="*", help=f"Some of: {', '.join(ablation.LEVERS)}")
    parser.add_argument("--against", help="Ablation: another commit of K2 instead of levers.")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
