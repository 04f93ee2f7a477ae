"""The dashboards are what their code says, and keep the rules of Grafana's dashboard-linter."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk is not installed")
pytest.importorskip("promql_parser", reason="promql-parser is not installed")

from k2.observability.feed_catalogue import FEED_CATALOGUE
from k2.observability.job_metrics import JOB_CATALOGUE, JobMetric
from k2.observability.metrics import CATALOGUE, Metric
from k2.quality.quality_metrics import QUALITY_CATALOGUE
from monitoring.foreign_metrics import JMX, PROMETHEUS, SPARK_DRIVER, SPARK_EXECUTORS
from monitoring.grafana import generate
from monitoring.grafana.panels import DATA_SOURCE_UID
from monitoring.promql import bare_counters, matchers, metric_names, selectors

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
FOREIGN = JMX | PROMETHEUS | SPARK_DRIVER | SPARK_EXECUTORS

BOARDS: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text())
    for path in sorted((ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]


def queries(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def series_of(metric: Metric | JobMetric) -> set[str]:
    if metric.kind == "histogram":
        return {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    return {metric.name}


KNOWN = FOREIGN.union(
    *map(series_of, (*CATALOGUE, *FEED_CATALOGUE, *JOB_CATALOGUE, *QUALITY_CATALOGUE))
)


@pytest.mark.parametrize("name", generate.BOARDS)
def test_the_committed_json_is_what_the_code_makes(name: str) -> None:
    stored = (generate.FOLDER / name).read_text(encoding="utf-8")

    assert stored == generate.text(name), "run python -m monitoring.grafana.generate"


def test_a_stale_dashboard_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    generate.main([])
    (tmp_path / "data-quality.json").write_text("{}")

    exit_code = generate.main(["--check"])

    assert exit_code == 1
    assert capsys.readouterr().err == "monitoring/grafana/dashboards/data-quality.json is stale\n"


def test_there_are_three_dashboards_with_addresses_of_their_own() -> None:
    titles = {board["title"] for board in BOARDS.values()}
    uids = {board["uid"] for board in BOARDS.values()}

    assert titles == {
        "K2 / Spark Cluster Health",
        "K2 / Pipeline Health",
        "K2 / Data Quality",
    }
    assert len(uids) == 3


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_dashboard_cannot_be_edited_and_has_the_linters_variables(board: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}

    assert board["editable"] is False
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["label"] == "Data source"
    assert variables["datasource"]["current"]["value"] == DATA_SOURCE_UID
    for name in ("job", "instance"):
        variable = variables[name]
        assert variable["label"] == name.title()
        assert variable["multi"]
        assert variable["allValue"] == ".+"
        assert variable["refresh"] == 2  # when the time range changes
        assert variable["datasource"]["uid"] == "${datasource}"


def test_the_provisioned_data_source_is_the_one_that_dashboards_choose() -> None:
    folder = ROOT / "monitoring" / "grafana" / "provisioning" / "datasources"

    assert f"uid: {DATA_SOURCE_UID} " in (folder / "prometheus.yml").read_text()


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_have_ids_of_their_own_and_do_not_overlap(board: dict[str, Any]) -> None:
    panels = board["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert queries(panel)


@pytest.mark.parametrize("panel", PANELS)
def test_every_selector_keeps_to_the_chosen_jobs_and_instances(panel: dict[str, Any]) -> None:
    for query in queries(panel):
        assert "$job" in query
        for selector, _ in selectors(query):
            chosen = matchers(selector)
            assert (chosen["job"], chosen["instance"]) == (".+", ".+"), query


@pytest.mark.parametrize("panel", PANELS)
def test_ranges_fit_the_graph(panel: dict[str, Any]) -> None:
    ranges = [found for query in queries(panel) for found in re.findall(r"\[(.+?)\]", query)]

    assert set(ranges) <= {"$__rate_interval"}


@pytest.mark.parametrize("panel", PANELS)
def test_no_counter_is_drawn_bare(panel: dict[str, Any]) -> None:
    assert set().union(*map(bare_counters, queries(panel))) == set()


@pytest.mark.parametrize("panel", PANELS)
def test_every_metric_of_a_panel_exists(panel: dict[str, Any]) -> None:
    assert set().union(*map(metric_names, queries(panel))) - KNOWN == set()


@pytest.mark.parametrize("panel", PANELS)
def test_a_panels_runbook_exists(panel: dict[str, Any]) -> None:
    for link in panel.get("links", []):
        name = link["url"].removeprefix("${runbooks}/")

        assert (ROOT / "docs" / "runbooks" / name).is_file()


def test_the_lines_that_were_asked_for_are_drawn() -> None:
    lines = {
        panel.values[0]["title"]: panel.values[0]["fieldConfig"]["defaults"]["thresholds"]["steps"][
            1
        ]["value"]
        for panel in PANELS
        if "thresholds" in panel.values[0]["fieldConfig"]["defaults"]
    }

    assert lines["CPU per worker"] == 0.8
    assert lines["Memory per worker"] == 0.9
    assert lines["End-to-end latency"] == 300
    assert lines["Dead-letter share"] == 0.01


def test_a_bare_counter_and_an_unknown_metric_are_caught() -> None:
    query = 'rate(k2_batches_total[5m]) / on (stream) sum by (stream) (k2_made_up_total{job="a"})'

    assert bare_counters(query) == {"k2_made_up_total"}
    assert metric_names(query) - KNOWN == {"k2_made_up_total"}
