"""``k2 serve``: the jobs' service and its API."""

from typing import Annotated

import typer

from k2.home.paths import named_disk_errors
from k2.observability.logs import configure_logs
from k2.settings import Settings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond loopback it wants a token.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
) -> None:
    """Run the jobs of this home and answer over HTTP, until Ctrl-C. `k2 up` does it as well."""
    from k2.jobs.kinds import KINDS
    from k2.service.server import JobService

    settings = Settings.load(api_host=host, api_port=port)
    configure_logs(settings)
    with named_disk_errors(settings):
        settings.run.mkdir(parents=True, exist_ok=True)
    service = JobService(settings, KINDS)
    service.run(lambda url: typer.echo(f"K2 serves jobs at {url} (docs at {url}/docs).", err=True))
