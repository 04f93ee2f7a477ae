"""The addresses of a home's pages for a browser."""

from pathlib import Path
from typing import NamedTuple

from k2.local.monitoring import alerts_page, monitoring_urls
from k2.local.service_process import api_url
from k2.local.services.service import answers
from k2.observability.status import running
from k2.settings import Settings
from k2.shipped import shipped_folder

_GRAFANA = "http://127.0.0.1:3000"


class Place(NamedTuple):
    """An address, or None and what makes one."""

    what: str
    url: str | None
    otherwise: str = ""


def places(settings: Settings) -> dict[str, Place]:
    """Return every place by its name; what does not run has no address."""
    prometheus = monitoring_urls(settings).get("prometheus")
    api = api_url(settings)
    return {
        "ui": Place(
            "Spark's UI", running(settings)["spark_ui"], "No streams run here; `k2 up` starts them."
        ),
        "dashboards": Place(
            "Grafana",
            _GRAFANA if answers(f"{_GRAFANA}/api/health") else None,
            f"No Grafana answers at {_GRAFANA}; `k2 up --monitoring` prints how to start one.",
        ),
        "alerts": Place(
            "Prometheus",
            alerts_page(prometheus) if prometheus else None,
            "No Prometheus runs here; `k2 up --monitoring` starts one.",
        ),
        "api": Place(
            "the jobs' API",
            f"{api}/docs" if api and answers(f"{api}/health") else None,
            "No jobs' service runs here; `k2 up` or `k2 serve` starts it.",
        ),
        "docs": Place("the documentation", documentation()),
    }


def documentation(folder: Path | None = None) -> str:
    """Return the built site beside a checkout's documents, else the documents themselves.

    Raises:
        ConfigError: they are not there.
    """
    docs = folder or shipped_folder("docs")
    site = docs.with_name("site") / "index.html"
    return (site if site.is_file() else docs / "README.md").as_uri()
