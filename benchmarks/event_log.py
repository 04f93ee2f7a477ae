"""What Spark's event log says of an application: its tasks, where they ran, and what they shuffled."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DRIVER = "driver"
_NAME = re.compile(r"[A-Za-z]+")  # what follows it are numbers, versions and folders
_WRAPPERS = {"WholeStageCodegen", "InputAdapter"}

Plan = tuple[str, ...]  # operators, from the top


@dataclass
class Application:
    """``tasks`` are counts by executor; bytes are of all tasks together."""

    tasks: Counter[str] = field(default_factory=Counter)
    stages: set[int] = field(default_factory=set)
    cpu_seconds: float = 0.0
    shuffle_written: int = 0
    shuffle_read_remote: int = 0
    shuffle_read_local: int = 0
    plans: set[Plan] = field(default_factory=set)

    def summary(self) -> dict[str, Any]:
        """Return the figures, and every plan that ran, by its operators."""
        return {
            "stages": len(self.stages),
            "tasks": sum(self.tasks.values()),
            "tasks_by_executor": dict(sorted(self.tasks.items())),
            "tasks_on_driver": self.tasks[_DRIVER],
            "executor_cpu_seconds": round(self.cpu_seconds, 1),
            "shuffle_written": self.shuffle_written,
            "shuffle_read_remote": self.shuffle_read_remote,
            "shuffle_read_local": self.shuffle_read_local,
            "plans": sorted(self.plans),
        }


def read(log: Path) -> Application:
    """Add up an application's log, one JSON event a line."""
    found = Application()
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            _take(found, json.loads(line))
    return found


def operators(node: dict[str, Any]) -> Plan:
    """Return the physical operators of a plan's tree, from the top."""
    name = _NAME.match(node["nodeName"])
    own = [name[0]] if name and name[0] not in _WRAPPERS else []
    return (*own, *(below for child in node["children"] for below in operators(child)))


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
        found.plans.add(operators(event["sparkPlanInfo"]))
