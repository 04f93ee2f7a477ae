"""``k2 status``: what runs, and how far it is."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from k2.cli.problems import Problem, find_problems
from k2.cli.render.printing import print_json
from k2.cli.render.streams import streams_table
from k2.cli.render.watch import watch
from k2.connectors.kafka import watermarks
from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import ConfigError, K2Error
from k2.exchanges import EXCHANGES
from k2.home.endpoints import find_endpoints
from k2.home.service_restarts import read_restarts
from k2.local.monitoring import monitoring_urls
from k2.local.services.service import answers
from k2.observability.redaction import redacted
from k2.observability.status import running
from k2.quality.backlog import backlog
from k2.settings import Settings


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watched: Annotated[
        bool, typer.Option("--watch", help="Go on showing it, with what the dashboards show.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="End with 1 if nothing runs or a stream does not, with 3 if a service does not answer.",
        ),
    ] = False,
) -> None:
    """Show what runs on this K2_HOME: services, streams, lag and freshness."""
    settings = Settings.load()
    if watched:
        if as_json or check:
            raise ConfigError("--watch is for people; give it without --json and --check.")
        everywhere = settings.bind_host in ("0.0.0.0", "::")  # noqa: S104 — compared, not bound
        host = "127.0.0.1" if everywhere else settings.bind_host
        watch(lambda: running(settings), Console(highlight=False), host=host)
        return
    facts = collect(settings)
    problems = find_problems(settings, facts)
    if as_json:
        print_json(facts | {"problems": [problem.sentence for problem in problems]})
    else:
        _show(facts, problems)
    if check and problems:
        raise typer.Exit(max(problem.exit_code for problem in problems))


def _show(facts: dict[str, Any], problems: list[Problem]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"K2_HOME  {facts['home']}", markup=False)
    for name, service in facts["services"].items():
        line = f"{name:<13}{service['state']}  {service['address'] or ''}"
        console.print(line.rstrip(), markup=False)
        if service.get("restarts"):
            console.print(f"{'':<13}{service['restarts']['sentence']}", markup=False)
    if facts["spark_ui"]:
        console.print(f"{'Spark UI':<13}{facts['spark_ui']}", markup=False)
    left = facts["backlog"]
    if left is not None:
        waiting = ", ".join(f"{layer} {count:,}" for layer, count in left.items())
        console.print(f"backlog  {waiting} rows to go")
    if facts["streams"]:
        console.print(streams_table(facts["streams"]))
    else:
        console.print("No streams run here. `k2 up` starts them; `k2 drain` runs them once.")
    for problem in problems:
        console.print(problem.sentence, markup=False)


def collect(settings: Settings) -> dict[str, Any]:
    """Return the state of services and streams, and each layer's backlog."""
    services, left = _services(settings)
    # An address may hold a password.
    for name, restarts in read_restarts(settings).items():
        if name in services:
            services[name]["restarts"] = asdict(restarts) | {"sentence": restarts.sentence}
    return {**running(settings), "services": redacted(services), "backlog": left}


def _services(settings: Settings) -> tuple[dict[str, dict[str, Any]], Any]:
    try:
        endpoints = find_endpoints(settings)
    except K2Error:
        nothing = {"state": "not running", "address": None}
        return {"kafka": nothing, "registry": nothing}, None
    found: dict[str, dict[str, Any]] = {}
    left = None
    try:
        watermarks(endpoints.kafka, EXCHANGES[0].topic, timeout=2.0)
        left = backlog(settings, EXCHANGES, endpoints.kafka)
        found["kafka"] = {"state": "up", "address": endpoints.kafka}
    except K2Error:
        found["kafka"] = {"state": "no answer", "address": endpoints.kafka}
    try:
        SchemaRegistry(endpoints.registry, timeout=2.0, attempts=1).schema_by_id(1)
        found["registry"] = {"state": "up", "address": endpoints.registry}
    except K2Error:
        found["registry"] = {"state": "no answer", "address": endpoints.registry}
    for name, url in monitoring_urls(settings).items():
        found[name] = {"state": "up" if answers(f"{url}/-/ready") else "no answer", "address": url}
    return found, left
