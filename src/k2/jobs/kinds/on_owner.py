"""Steps that the owner of a stream's tables executes."""

from collections.abc import Mapping
from typing import Any

from k2.engine.stream import Stream
from k2.engine.table_owner import execute_on_owner
from k2.engine.table_requests import Request
from k2.jobs.job_run import JobRun


def ask_owner(run: JobRun, kind: str, stream: Stream, options: Mapping[str, Any]) -> dict[str, Any]:
    """Have the owner of a stream's tables do something; here, where nobody owns them.

    The request's id is the job's and the stream's: asked again, it goes on where it stood.

    Raises:
        StandStill: somebody wants the job to stop; the request waits for it to go on.
        K2Error: it could not be done.
    """
    request = Request(kind, stream.name, dict(options), f"{run.id}-{stream.name}")
    while (result := execute_on_owner(request, stream, run.settings, run.should_continue)) is None:
        run.checkpoint(now=True)
    return result
