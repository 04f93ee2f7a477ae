"""``python -m benchmarks [--quick] [--rounds N]``: measure, print, and keep the results as JSON."""

import argparse
import json
import os
import platform
import time
from pathlib import Path

from benchmarks.scenarios import as_line, catch_up, sustained, warm_start


def main() -> None:
    """Measure every scenario and write ``reports/bench.json``."""
    arguments = _parse()
    quick = arguments.quick
    plan = {
        "warm_start": lambda: warm_start(),
        "catch_up": lambda: catch_up(100_000 if quick else 1_000_000),
        "sustained": lambda: sustained(1_000 if quick else 5_000, 30 if quick else 300),
    }
    chosen = arguments.only or list(plan)
    results: dict[str, list[object]] = {name: [] for name in chosen}
    for round_ in range(arguments.rounds):
        for name in chosen:
            result = plan[name]()
            results[name].append(result)
            print(f"[{round_ + 1}/{arguments.rounds}] {as_line(name, result)}", flush=True)
    report = Path("reports") / ("bench-quick.json" if quick else "bench.json")
    report.parent.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "at": time.strftime("%F %T")}
    report.write_text(json.dumps({"machine": machine, "results": results}, indent=2))
    print(f"Written to {report}.")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Small sizes: does it run at all?")
    parser.add_argument("--rounds", type=int, default=1, help="How often to measure everything.")
    parser.add_argument("--only", nargs="*", choices=["warm_start", "catch_up", "sustained"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
