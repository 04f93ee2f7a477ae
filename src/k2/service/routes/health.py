"""``/health``, ``/ready`` and ``/metrics``."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from k2.service.answers import ERROR_RESPONSES

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The service is alive."""

    status: str


@router.get("/health")
async def health() -> Health:
    """Report that the process is alive; calls no other service."""
    return Health(status="ok")


@router.get("/ready", responses={503: ERROR_RESPONSES[503]})
def ready(request: Request) -> Health:
    """Report that jobs are accepted: the registry answers."""
    request.app.state.registry.counts()
    return Health(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Show the service's metrics, as on their own port."""
    return Response(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_LATEST)
