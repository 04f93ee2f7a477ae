"""``/v1/jobs``: submit, list, look at, steer and follow."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from k2.jobs.job_lookup import MAX_LISTED
from k2.jobs.model import Job, JobState, Report
from k2.jobs.outbox import Event, events_about
from k2.jobs.registry import Registry
from k2.service.answers import ERROR_RESPONSES
from k2.service.schemas import JobOut, JobPage, JobRequest, JobStatus, JobWithReport, KindOut

router = APIRouter(prefix="/v1", tags=["jobs"], responses=ERROR_RESPONSES)

_FOLLOW_SECONDS = 0.5
_PAGE = 500

JobId = Annotated[str, Path(max_length=200, description="The job's id.")]


def registry_of(request: Request) -> Registry:
    """Return the registry that the application serves."""
    registry: Registry = request.app.state.registry
    return registry


@router.get("/kinds")
def kinds(request: Request) -> list[KindOut]:
    """List what can be submitted, with its parameters."""
    return [
        KindOut(kind=kind.name, summary=kind.summary, params=kind.params.model_json_schema())
        for kind in registry_of(request).kinds
    ]


@router.post("/jobs", status_code=201, responses={200: {"model": JobOut}})
def submit(
    request: Request,
    response: Response,
    asked: JobRequest,
    idempotency_key: Annotated[
        str | None, Header(description="The same key is the same job: 200 instead of 201.")
    ] = None,
) -> JobOut:
    """Submit a job."""
    submitted = registry_of(request).submit(
        asked.kind, asked.params, key=idempotency_key, request_id=request.state.request_id
    )
    response.status_code = 201 if submitted.is_new else 200
    response.headers["Location"] = f"/v1/jobs/{submitted.job.id}"
    return _out(submitted.job)


@router.get("/jobs")
def list_jobs(
    request: Request,
    state: JobState | None = None,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[datetime | None, Query(description="Submitted at this time or later.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of a page.")] = None,
) -> JobPage:
    """List jobs, newest first."""
    found = registry_of(request).jobs(
        state=state, kind=kind, since_ms=_ms_of(since), limit=limit, before=before
    )
    return JobPage(
        jobs=[_out(job) for job in found], next=found[-1].id if len(found) == limit else None
    )


@router.get("/jobs/{job_id}")
def show(request: Request, job_id: JobId) -> JobWithReport:
    """Show a job, and how its steps ended."""
    registry = registry_of(request)
    job = registry.job(job_id)
    report = Report.of(registry.steps(job_id))
    return JobWithReport.model_validate(job.as_json() | {"report": asdict(report)})


@router.get("/jobs/{job_id}/status")
def status(request: Request, job_id: JobId) -> JobStatus:
    """Show how far a job is."""
    job = registry_of(request).job(job_id)
    return JobStatus(
        id=job.id,
        state=job.state,
        wish=job.wish,
        is_ended=job.state.is_ended,
        step=job.step,
        steps_done=job.steps_done,
        rows_done=job.rows_done,
        rows_total=job.rows_total,
    )


@router.post("/jobs/{job_id}/pause")
def pause(request: Request, job_id: JobId) -> JobOut:
    """Pause a job at its next step. It is `paused` once its work has stopped."""
    return _out(registry_of(request).pause(job_id))


@router.post("/jobs/{job_id}/resume")
def resume(request: Request, job_id: JobId) -> JobOut:
    """Continue a paused job where it stopped."""
    return _out(registry_of(request).resume(job_id))


@router.post("/jobs/{job_id}/cancel")
def cancel(request: Request, job_id: JobId) -> JobOut:
    """End a job at its next step; what is done stays."""
    return _out(registry_of(request).cancel(job_id))


@router.post("/jobs/{job_id}/retry")
def retry(request: Request, job_id: JobId) -> JobOut:
    """Run a failed or cancelled job again from the step that did not end."""
    return _out(registry_of(request).retry(job_id))


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def follow(
    request: Request,
    job_id: JobId,
    last_event_id: Annotated[
        str | None, Header(description="The last event that the client has; later ones follow.")
    ] = None,
) -> EventSourceResponse:
    """Follow a job's events as they come, from its first one on, until it has ended."""
    registry = registry_of(request)
    await asyncio.to_thread(registry.job, job_id)
    after = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
    return EventSourceResponse(_events(registry, job_id, min(after, 2**62)), ping=15)


async def _events(registry: Registry, job_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    while True:
        ended = (await asyncio.to_thread(registry.job, job_id)).state.is_ended
        events = await asyncio.to_thread(_read, registry, job_id, after)
        for event in events:
            after = event.seq
            yield ServerSentEvent(
                data=orjson.dumps(event.data).decode(), event=event.type, id=str(event.seq)
            )
        if ended and len(events) < _PAGE:
            return
        if not events:
            await asyncio.sleep(_FOLLOW_SECONDS)


def _read(registry: Registry, job_id: str, after: int) -> list[Event]:
    with registry.database.reading() as connection:
        return events_about(connection, job_id, after, _PAGE)


def _out(job: Job) -> JobOut:
    facts: dict[str, Any] = job.as_json()
    return JobOut.model_validate(facts)


def _ms_of(since: datetime | None) -> int:
    if since is None:
        return 0
    at = since if since.tzinfo else since.replace(tzinfo=UTC)
    return max(int(at.timestamp() * 1000), 0)
