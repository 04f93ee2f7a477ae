"""``/v1/events``: what was not delivered."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from k2.jobs.delivery.backlog import send_again
from k2.service.answers import ERROR_RESPONSES
from k2.service.routes.jobs import registry_of

router = APIRouter(prefix="/v1/events", tags=["events"], responses=ERROR_RESPONSES)


class Undelivered(BaseModel):
    """Events that wait for longer than a minute or were refused, by sink."""

    undelivered: dict[str, int]


class SentAgain(Undelivered):
    """How many events are tried again."""

    events: int = Field(description="Those that are tried again now.")


@router.get("/undelivered")
def undelivered(request: Request) -> Undelivered:
    """Count the events that sinks have not taken."""
    return Undelivered(undelivered=registry_of(request).undelivered())


@router.post("/resend")
def resend(
    request: Request,
    sink: Annotated[str | None, Query(max_length=300, description="Only this sink's.")] = None,
) -> SentAgain:
    """Send again what a sink has refused, and at once what waits for its next attempt."""
    registry = registry_of(request)
    count = send_again(registry.database, sink)
    return SentAgain(events=count, undelivered=registry.undelivered())
