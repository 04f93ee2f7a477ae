"""What an event log says, and how runs of one and of two workers are put beside each other."""

import json

import pytest

from benchmarks.event_log import operators, read
from benchmarks.scale_out import as_markdown

pytestmark = pytest.mark.unit


def node(name, *children):
    return {"nodeName": name, "simpleString": f"{name} #12L", "children": list(children)}


SCAN = node("BatchScan kafka[value#7]")
PLAN = node(
    "WholeStageCodegen (2)", node("Project", node("InputAdapter", node("Exchange", SCAN)), SCAN)
)


def task(executor, stage, written=0, remote=0):
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": stage,
        "Task Info": {"Executor ID": executor},
        "Task Metrics": {
            "Executor CPU Time": 500_000_000,
            "Shuffle Write Metrics": {"Shuffle Bytes Written": written},
            "Shuffle Read Metrics": {"Remote Bytes Read": remote, "Local Bytes Read": 1},
        },
    }


def execution(plan):
    name = "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart"
    return {"Event": name, "sparkPlanInfo": plan}


@pytest.fixture
def log(tmp_path):
    """Two stages on two executors, and one task in the driver."""
    events = [
        {"Event": "SparkListenerApplicationStart", "App Name": "k2-gold"},
        execution(node("LocalTableScan")),
        execution(PLAN),
        execution(PLAN),
        task("0", 1, written=10),
        task("1", 1, written=5),
        task("1", 2, remote=7),
        task("driver", 3),
    ]
    path = tmp_path / "app-1"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def test_an_event_log_is_added_up(log):
    found = read(log).summary()

    assert found["tasks_by_executor"] == {"0": 1, "1": 2, "driver": 1}
    assert (found["stages"], found["tasks"], found["tasks_on_driver"]) == (3, 4, 1)
    assert (found["shuffle_written"], found["shuffle_read_remote"]) == (15, 7)
    assert found["executor_cpu_seconds"] == 2.0


def test_every_plan_is_told_once_by_its_operators(log):
    assert read(log).summary()["plans"] == [
        ("LocalTableScan",),
        ("Project", "Exchange", "BatchScan", "BatchScan"),
    ]


def test_a_plan_that_differs_in_numbers_and_folders_only_is_the_same():
    one = node("WholeStageCodegen (1)", node("Scan ExistingRDD Delta Table State #7 - file:/a/b"))
    other = node("WholeStageCodegen (3)", node("Scan ExistingRDD Delta Table State #9 - file:/c"))

    assert operators(one) == operators(other) == ("Scan",)


def test_runs_stand_beside_each_other_a_line_a_job():
    def run(workers, tasks, *plans):
        job = {
            "job": "gold",
            "tasks_by_executor": tasks,
            "tasks_on_driver": 0,
            "shuffle_written": 1234,
            "plans": plans,
        }
        return {"workers": workers, "jobs": [job]}

    table = as_markdown(
        [run(1, {"0": 8}, ["Scan"]), run(2, {"0": 4, "1": 4}, ["Scan"], ["Sort", "Scan"])]
    )

    assert table.splitlines()[-1] == "| gold | 8 | 4, 4 | 1,234 | 1,234 | 0 | 1 of 2 |"
