"""The figures of production readiness: one page promises them, and the files that set them keep it."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from k2.quality.checks.catalogue import checks_every
from k2.topology import stream_names

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "phases" / "phase-11-production-readiness" / "README.md"
FIVE_STREAMS = ["bronze-binance", "bronze-kraken", "silver-binance", "silver-kraken", "gold"]
WORKERS = ["spark-worker-1", "spark-worker-2"]


def promised() -> dict[str, str]:
    """Criterion → figure, of the page's first table."""
    table = PAGE.read_text("utf-8").split("## Figures that are set")[1].split("##")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    return {row[0].strip(): row[1].strip() for row in rows[2:]}


def compose(name: str = "docker-compose.yml") -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def of_workers(pick: Callable[[Any], Any], name: str = "docker-compose.yml") -> str:
    """What is said of every worker, which must be the same of each."""
    (value,) = {str(pick(compose(name)["services"][worker])) for worker in WORKERS}
    return value


def limit(kind: str) -> str:
    return of_workers(lambda worker: worker["deploy"]["resources"]["limits"][kind])


def environment(variable: str, name: str = "docker-compose.yml") -> str:
    return of_workers(lambda worker: worker["environment"][variable], name)


def jobs() -> list[str]:
    """Services that submit a job to the cluster, each of which takes executors."""
    services = compose()["services"]
    return [name for name, s in services.items() if "docker/submit" in str(s.get("command"))]


def default_of(variable: str) -> str:
    (value,) = re.findall(rf"\${{{variable}:-(\w+)}}", (ROOT / "docker" / "submit").read_text())
    return value


def share(executors: int) -> tuple[int, int]:
    """Cores that so many jobs take, and those of the cluster."""
    return executors * int(default_of("EXECUTOR_CORES")), len(WORKERS) * int(
        environment("SPARK_WORKER_CORES")
    )


def memory(executors: int) -> tuple[int, int]:
    """Megabytes that so many jobs' executors take, and those of the cluster."""
    each = int(default_of("EXECUTOR_MEMORY").removesuffix("m"))
    there = int(environment("SPARK_WORKER_MEMORY").removesuffix("g")) * 1024
    return executors * each, len(WORKERS) * there


def least_spare() -> float:
    taken = [share(len(jobs())), memory(len(jobs()))]
    return min(1 - used / there for used, there in taken)


def rules() -> list[Any]:
    files = sorted((ROOT / "monitoring" / "prometheus" / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alert(name: str, **labels: str) -> Any:
    """The first rule of an alert with these labels: some alerts have one for each cause."""
    return next(
        rule
        for rule in rules()
        if rule.get("alert") == name and labels.items() <= rule["labels"].items()
    )


def threshold(name: str, **labels: str) -> str:
    """The first number that an alert compares with."""
    found = re.search(r"> ([\d.]+)", alert(name, **labels)["expr"])
    assert found is not None
    return found[1]


def boards() -> dict[str, Any]:
    folder = ROOT / "monitoring" / "grafana" / "dashboards"
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def panels(board: Any) -> Iterator[Any]:
    for panel in board.get("panels", ()):
        yield panel
        yield from panels(panel)


def line_of(title: str) -> float:
    """Where the line of the panel with a title is drawn."""
    (panel,) = (p for board in boards().values() for p in panels(board) if p["title"] == title)
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    (value,) = {step["value"] for step in steps if step.get("value")}
    return float(value)


def ini(pattern: str) -> str:
    (value,) = re.findall(pattern, (ROOT / "pytest.ini").read_text(), re.MULTILINE)
    return str(value)


def least_pytest() -> str:
    (of_project,) = re.findall(r'"pytest>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert of_project == ini(r"^minversion = (.+)$")
    return str(of_project)


def workflow() -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def pushes() -> str:
    # YAML 1.1 reads the word `on` as true.
    return "every push" if workflow()[True]["push"] is None else "some pushes"


def ports() -> str:
    text = (ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text()
    names = "|".join(stream_names())
    return ", ".join(sorted(re.findall(rf"127\.0\.0\.1:(\d+) # (?:{names})$", text, re.MULTILINE)))


def every(check: str) -> str:
    (found,) = (c for c in checks_every({}) if c.name == check)
    return f"{found.every.total_seconds():.0f} s"


def count_bronze_tests() -> int:
    files = (ROOT / "tests" / "unit" / "bronze").glob("test_*.py")
    return sum(len(re.findall(r"^def test_", file.read_text(), re.MULTILINE)) for file in files)


def runbooks() -> str:
    alerts = [rule for rule in rules() if "alert" in rule]
    missing = [
        rule["alert"]
        for rule in alerts
        if not (ROOT / rule["annotations"].get("runbook_url", "nowhere")).is_file()
    ]
    return "all" if alerts and not missing else f"not {missing}"


FOUND: dict[str, Callable[[], object]] = {
    "Spark workers": lambda: sum(name.startswith("spark-worker") for name in compose()["services"]),
    "cores of a worker": lambda: environment("SPARK_WORKER_CORES"),
    "memory of a worker": lambda: environment("SPARK_WORKER_MEMORY"),
    "CPU limit of a worker": lambda: limit("cpus"),
    "memory limit of a worker": lambda: limit("memory"),
    "Spark's containers": lambda: ", ".join(
        service["container_name"]
        for name, service in compose()["services"].items()
        if name.startswith("spark-")
    ),
    "cores of five streams, bars and quality": lambda: "{} of {}".format(
        *share(len({*FIVE_STREAMS, "ohlcv", "quality"} & set(jobs())))
    ),
    "cores of all jobs": lambda: "{} of {}".format(*share(len(jobs()))),
    "executor memory of all jobs": lambda: "{} of {} MB".format(*memory(len(jobs()))),
    "small form, a worker": lambda: "{} cores, {}".format(
        environment("SPARK_WORKER_CORES", "docker-compose.small.yml"),
        environment("SPARK_WORKER_MEMORY", "docker-compose.small.yml"),
    ),
    "ports of metrics": ports,
    "alert: dead letters": lambda: f"> {threshold('DLQThresholdExceeded')}",
    "alert: Kafka to Gold, p99": lambda: f"> {threshold('E2ELatencySLABreach')} s",
    "alert: a stream takes nothing": lambda: re.findall(
        r"k2_records_processed_total\[(\w+)\]\) == 0", alert("JobStalled")["expr"]
    )[0],
    "alert: heap": lambda: "> {} for {}".format(
        threshold("SparkJobOOM", cause="memory"), alert("SparkJobOOM", cause="memory")["for"]
    ),
    "alerts with a runbook": runbooks,
    "dashboards": lambda: ", ".join(boards()),
    "line on the board: heap": lambda: line_of("JVM heap in use"),
    "line on the board: lag": lambda: f"{line_of('Lag in seconds'):.0f} s",
    "check of dead letters, every": lambda: every("dead-letters"),
    "check of freshness, every": lambda: every("freshness"),
    "pytest, at least": least_pytest,
    "Spark's shuffle partitions in tests": lambda: ini(r"shuffle\.partitions: (\d+)"),
    "workers of pytest": lambda: ini(r"^    -n (\d+)"),
    "coverage floor": lambda: re.findall(
        r"^COVERAGE_FLOOR \?= (\d+)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )[0]
    + " %",
    "CI": pushes,
    "Python": lambda: ", ".join(workflow()["jobs"]["unit"]["strategy"]["matrix"]["python"]),
}
AT_LEAST: dict[str, Callable[[], float]] = {
    "least unit tests of Bronze": count_bronze_tests,
    "least share of cores and memory to spare": lambda: 100 * least_spare(),
}


def test_every_criterion_of_the_page_is_looked_up() -> None:
    assert promised().keys() == FOUND.keys() | AT_LEAST.keys()


@pytest.mark.parametrize("criterion", FOUND)
def test_a_figure_is_as_promised(criterion: str) -> None:
    assert str(FOUND[criterion]()) == promised()[criterion]


@pytest.mark.parametrize("criterion", AT_LEAST)
def test_there_is_at_least_as_much_as_promised(criterion: str) -> None:
    assert AT_LEAST[criterion]() >= float(promised()[criterion].removesuffix(" %"))


def test_there_is_a_job_for_each_stream_and_one_for_the_checks() -> None:
    assert set(jobs()) == set(stream_names())
    assert "jobs/quality.py" in str(compose()["services"]["quality"]["command"])


def test_the_small_form_bears_the_jobs_that_it_starts() -> None:
    small = compose("docker-compose.small.yml")["services"]
    started = [job for job in jobs() if "profiles" not in small.get(job, {})]
    cores = 2 * int(environment("SPARK_WORKER_CORES", "docker-compose.small.yml"))
    megabytes = (
        2
        * 1024
        * int(environment("SPARK_WORKER_MEMORY", "docker-compose.small.yml").removesuffix("g"))
    )

    assert share(len(started))[0] <= cores
    assert memory(len(started))[0] <= megabytes


def test_the_documented_check_of_the_cluster_can_be_called() -> None:
    page = (ROOT / "docs" / "how-to" / "run-on-a-cluster.md").read_text()
    called = set(re.findall(r"docker exec (\S+) curl", page))
    services = compose()["services"].values()

    assert called == {s["container_name"] for s in services if "container_name" in s}
    assert re.search(r"apt-get install .*\bcurl\b", (ROOT / "docker" / "Dockerfile").read_text())
