"""The parts that K2's dashboards are made of: queries, panels, variables and their shared habits."""

from collections.abc import Sequence
from itertools import count

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig, VizLegendOptions
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

DATA_SOURCE_UID = "k2-prometheus"
# Grafana needs a whole address: `python -m http.server 8012 --bind 127.0.0.1 --directory docs`.
RUNBOOKS = "http://127.0.0.1:8012/runbooks"

_DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_SCOPE = 'job=~"$job", instance=~"$instance"'

Query = tuple[str, str]  # PromQL, legend


def of(metric: str, *matchers: str) -> str:
    """Select a metric of the chosen jobs and instances."""
    return f"{metric}{{{', '.join((_SCOPE, *matchers))}}}"


def increase_of(metric: str, *matchers: str) -> str:
    """Count a counter's events in an interval that fits the graph."""
    return f"increase({of(metric, *matchers)}[$__rate_interval])"


def rate_of(metric: str, *matchers: str) -> str:
    """Count a counter's events a second."""
    return f"rate({of(metric, *matchers)}[$__rate_interval])"


def quantile(share: float, metric: str, by: str, *matchers: str) -> str:
    """Estimate a quantile of a histogram."""
    buckets = rate_of(f"{metric}_bucket", *matchers)
    return f"histogram_quantile({share}, sum by ({by}, le) ({buckets}))"


def panel(
    title: str,
    unit: str,
    description: str,
    *queries: Query,
    line: float | None = None,
    below_is_bad: bool = False,
    runbook: str | None = None,
    highest: float | None = None,
) -> timeseries.Panel:
    """Draw lines over time; ``line`` is drawn dashed, and the wrong side of it is red."""
    made = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(_DATA_SOURCE)
        .unit(unit)
        .min(0)
        .span(8)
        .height(8)
        .fill_opacity(10)
        .no_value("no data")
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    for letter, (promql, legend) in zip("ABCDEFGH", queries, strict=False):
        made.with_target(
            prometheus.Dataquery()
            .datasource(_DATA_SOURCE)
            .expr(promql)
            .legend_format(legend)
            .ref_id(letter)
            .range()
        )
    if line is not None:
        good, bad = ("red", "green") if below_is_bad else ("green", "red")
        steps = [Threshold(value=None, color=good), Threshold(value=line, color=bad)]
        made.thresholds(
            dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
        ).thresholds_style(GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
    if highest is not None:
        made.max(highest)
    if runbook is not None:
        made.links(
            [dashboard.DashboardLink(f"Runbook: {runbook}").url(f"${{runbooks}}/{runbook}.md")]
        )
    return made


def board(
    uid: str, title: str, description: str, rows: Sequence[tuple[str, Sequence[timeseries.Panel]]]
) -> dashboard.Dashboard:
    """Put rows of panels under the variables that all dashboards of K2 share."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["k2"])
        .readonly()
        .timezone("utc")
        .time("now-1h", "now")
        .refresh("30s")
        .link(
            dashboard.DashboardLink("K2 dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["k2"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(
            dashboard.DatasourceVariable("datasource")
            .label("Data source")
            .type("prometheus")
            .current(VariableOption(text=DATA_SOURCE_UID, value=DATA_SOURCE_UID, selected=True))
        )
        .with_variable(_choice("job", "Job", "label_values(up, job)"))
        .with_variable(_choice("instance", "Instance", 'label_values(up{job=~"$job"}, instance)'))
        .with_variable(
            dashboard.TextBoxVariable("runbooks").label("Runbooks").default_value(RUNBOOKS)
        )
    )
    ids = count(1)
    for name, panels in rows:
        made.with_row(dashboard.Row(name).id(next(ids)))
        for each in panels:
            made.with_panel(each.id(next(ids)))
    return made


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_DATA_SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(VariableOption(text="All", value="$__all", selected=True))
    )
