"""``k2 drain``: wait, or work, until Gold and its bars have all that is in Kafka."""

from typing import Annotated

import typer

from k2.cli.job_client import DETACH_HELP, run_as_job
from k2.cli.options import seconds_of
from k2.cli.render.printing import print_json
from k2.cli.step_lines import print_result
from k2.connectors.kafka import watermarks
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES
from k2.home.endpoints import find_endpoints
from k2.jobs.stream_control import StreamControl
from k2.observability.logs import configure_logs
from k2.settings import Settings


def drain(
    timeout: Annotated[str, typer.Option(help="Give up after this long, such as 300s.")] = "300s",
    detach: Annotated[bool, typer.Option("--detach", help=DETACH_HELP)] = False,
    here: Annotated[bool, typer.Option("--here", hidden=True, help="The job does this.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run every stream until Gold and its bars have all that is in Kafka.

    Streams that run elsewhere on this K2_HOME are waited for; the others run here, once. Beside a feed
    that goes on it ends with what Kafka had when it began. Exits with 3 when the time is up; what has
    been done until then stays.
    """
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    seconds = seconds_of(timeout)
    _refuse_paused(settings)
    endpoints = find_endpoints(settings)
    if here:
        # Here: what runs streams takes a second to load, which the client need not wait for.
        from k2.cli.draining import drain_here

        print_result(drain_here(settings, endpoints, seconds))
        return
    for exchange in EXCHANGES:
        watermarks(endpoints.kafka, exchange.topic)  # says at once when Kafka does not answer
    params = {"timeout_seconds": seconds, "fail_on_nothing": False}  # all drained is well
    found = run_as_job(settings, "drain", params, title="Draining", detach=detach)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"Gold and its bars have all that is in Kafka ({found['seconds']} s).")


def _refuse_paused(settings: Settings) -> None:
    paused = [name for name, wish in StreamControl(settings).wishes().items() if wish.is_paused]
    if paused:
        raise ConfigError(
            f"Somebody has paused {', '.join(sorted(paused))}, and Gold cannot have all: resume it by"
            f" POST /v1/streams/{paused[0]}/resume (`k2 serve`, `k2 up`)."
        )
