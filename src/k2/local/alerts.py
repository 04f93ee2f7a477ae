"""The active alerts of a run's Prometheus, each with its runbook."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from k2.errors import ConfigError, UnavailableError
from k2.shipped import shipped_folder

WATCHDOG = "Watchdog"  # fires always: that nobody hears it is the alarm
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Alert:
    """One alert of Prometheus; ``state`` is ``pending`` until it has been true for long enough."""

    name: str
    state: str
    severity: str
    since: str
    summary: str
    description: str
    runbook: str
    labels: dict[str, str]


def active_alerts(prometheus: str) -> list[Alert]:
    """Return the pending and firing alerts of a Prometheus: the most severe first, then the oldest.

    Raises:
        UnavailableError: it does not answer, or not as Prometheus does.
    """
    try:
        with httpx.Client(trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
            answer = client.get(f"{prometheus.rstrip('/')}/api/v1/alerts")
            answer.raise_for_status()
            found = [_alert(each) for each in answer.json()["data"]["alerts"]]
    except httpx.HTTPError as error:
        raise UnavailableError(f"Prometheus at {prometheus} does not answer: {error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError(f"What answers at {prometheus} is no Prometheus.") from error
    severities = ("critical", "warning", "none")
    return sorted(
        found,
        key=lambda alert: (
            alert.state != "firing",
            severities.index(alert.severity) if alert.severity in severities else len(severities),
            alert.since,
        ),
    )


def runbook_page(runbook_url: str) -> str:
    """Return where the page of an alert is on this machine; the address as it is if it is not here."""
    name = runbook_url.rpartition("/")[2]
    with suppress(ConfigError):
        page = shipped_folder("docs") / "runbooks" / name
        if name and page.is_file():
            return str(page)
    return runbook_url


def _alert(given: dict[str, Any]) -> Alert:
    labels, notes = dict(given["labels"]), given.get("annotations", {})
    return Alert(
        name=labels.pop("alertname"),
        state=given["state"],
        severity=labels.pop("severity", ""),
        since=given.get("activeAt", ""),
        summary=notes.get("summary", ""),
        description=notes.get("description", ""),
        runbook=runbook_page(notes.get("runbook_url", "")),
        labels=labels,
    )
