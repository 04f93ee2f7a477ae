"""``k2 bars --rebuild``: all bars once more from Gold, which should change nothing."""

import typer

from k2.cli.job_client import run_as_job
from k2.cli.render.printing import print_json
from k2.observability.logs import configure_logs
from k2.settings import Settings


def rebuild_bars(settings: Settings, as_json: bool) -> None:
    """Recompute all bars, replace those that differ, and say how many did.

    Raises:
        InUseError: the stream of bars runs.
    """
    # Without it what the job logs would stand before the JSON.
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    result = run_as_job(
        settings, "rebuild-bars", {"fail_on_nothing": False}, title="Recomputing bars"
    )
    if as_json:
        print_json(result)
        return
    wrong = sum(result["replaced"].values())
    typer.echo(f"Recomputed {result['days']} days: {wrong:,} bars differed or were new.")
