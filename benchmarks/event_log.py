"""What Spark's event log says of an application: its tasks, where they ran, and what they shuffled."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DRIVER = "driver"
_OPERATOR = re.compile(r"^[\s:+*|-]*(?:\(\d+\) )?([A-Z][A-Za-z]+)", re.MULTILINE)


@dataclass
class Application:
    """``tasks`` are counts by executor; bytes are of all tasks together."""

    tasks: Counter[str] = field(default_factory=Counter)
    stages: set[int] = field(default_factory=set)
    cpu_seconds: float = 0.0
    shuffle_written: int = 0
    shuffle_read_remote: int = 0
    shuffle_read_local: int = 0
    largest_plan: str = ""

    def summary(self) -> dict[str, Any]:
        """Return the figures, and the operators of the largest plan in order."""
        return {
            "stages": len(self.stages),
            "tasks": sum(self.tasks.values()),
            "tasks_by_executor": dict(sorted(self.tasks.items())),
            "tasks_on_driver": self.tasks[_DRIVER],
            "executor_cpu_seconds": round(self.cpu_seconds, 1),
            "shuffle_written": self.shuffle_written,
            "shuffle_read_remote": self.shuffle_read_remote,
            "shuffle_read_local": self.shuffle_read_local,
            "plan": operators(self.largest_plan),
        }


def read(log: Path) -> Application:
    """Add up an application's log, one JSON event a line."""
    found = Application()
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            _take(found, json.loads(line))
    return found


def operators(plan: str) -> list[str]:
    """Return the physical operators of a plan's tree, from the top."""
    tree = plan.partition("== Physical Plan ==")[2].strip().partition("\n\n")[0]
    return _OPERATOR.findall(tree)


def _take(found: Application, event: dict[str, Any]) -> None:
    kind = event["Event"]
    if kind == "SparkListenerTaskEnd":
        found.tasks[event["Task Info"]["Executor ID"]] += 1
        found.stages.add(event["Stage ID"])
        metrics = event.get("Task Metrics") or {}
        found.cpu_seconds += metrics.get("Executor CPU Time", 0) / 1e9
        found.shuffle_written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
        found.shuffle_read_remote += metrics["Shuffle Read Metrics"]["Remote Bytes Read"]
        found.shuffle_read_local += metrics["Shuffle Read Metrics"]["Local Bytes Read"]
    elif kind.endswith("SparkListenerSQLExecutionStart"):
        plan = event["physicalPlanDescription"]
        if len(plan) > len(found.largest_plan):
            found.largest_plan = plan
