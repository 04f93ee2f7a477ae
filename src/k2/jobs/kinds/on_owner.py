"""Steps that the owner of a stream's tables executes: the process that runs the stream, or else this one."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from k2.engine.stream import Stream, lock_names, reserved
from k2.engine.table_owner import TableOwner
from k2.engine.table_requests import Request
from k2.errors import InUseError
from k2.home.locks import is_held
from k2.jobs.job_run import JobRun, StandStill, patiently
from k2.jobs.model import Wish
from k2.jobs.table_requests import TableRequests

_LOOK_SECONDS = 0.25


def ask_owner(run: JobRun, kind: str, stream: Stream, options: Mapping[str, Any]) -> dict[str, Any]:
    """Have the owner of a stream's tables do something; here, where nobody owns them.

    The request's id is the job's and the stream's: asked again, it goes on where it stood.

    Raises:
        StandStill: somebody wants the job to stop, and the owner works no more at the request.
        K2Error: it could not be done.
    """
    request = Request(kind, stream.name, dict(options), f"{run.id}-{stream.name}")
    requests = TableRequests(run.database)
    try:
        result = _result(run, requests, request, stream)
    except StandStill as stand:
        if stand.wish is not Wish.RUN:  # else this process ends: the next one finds the answer
            _withdraw(run, requests, request, stream)
        raise
    except Exception:
        patiently(lambda: requests.delete(request), run.stopping)
        raise
    patiently(lambda: requests.delete(request), run.stopping)
    return result


def _result(
    run: JobRun, requests: TableRequests, request: Request, stream: Stream
) -> dict[str, Any]:
    is_submitted = False
    while True:
        # First: the last owner may have answered just before it released the locks.
        found = patiently(lambda: requests.outcome(request), run.stopping)
        if found is None:
            found = _execute_here(run, request, stream)
        if found is not None:
            return found
        if not is_submitted:
            patiently(lambda: requests.submit(request), run.stopping)
            is_submitted = True
        run.wait(_LOOK_SECONDS)


def _execute_here(run: JobRun, request: Request, stream: Stream) -> dict[str, Any] | None:
    """Do it as the owner; None where another process is it."""
    with ExitStack() as held:
        try:
            held.enter_context(reserved(stream, run.settings))
        except InUseError:
            return None
        owner = TableOwner(stream, run.settings)
        while (result := owner.execute(request, run.should_continue)) is None:
            run.checkpoint(now=True)
        return result


def _withdraw(run: JobRun, requests: TableRequests, request: Request, stream: Stream) -> None:
    """Wait until the owner has put the request down, or has died over it."""
    lock, locks = lock_names(stream)[0], run.settings.run / "locks"
    while patiently(lambda: requests.withdraw(request), run.stopping) and is_held(locks, lock):
        if run.stopping.wait(_LOOK_SECONDS):
            return
    patiently(lambda: requests.delete(request), run.stopping)
