"""``/v1/streams``: what runs, and let it stand still, go on, or begin anew."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from k2.errors import did_you_mean
from k2.home.locks import is_held
from k2.jobs.stream_wishes import StreamWishes, UnknownStreamError
from k2.observability.status import running
from k2.service.answers import ERROR_RESPONSES
from k2.service.routes.jobs import registry_of
from k2.service.routes.lake import settings_of
from k2.settings import Settings

router = APIRouter(prefix="/v1/streams", tags=["streams"], responses=ERROR_RESPONSES)

_STILL = ("paused", "failed", "stopped")
_LOOK_SECONDS = 0.2
_SHARE_OF_TIMEOUT = 0.6  # of the time of a request, in which a pause is waited for

StreamName = Annotated[str, Path(max_length=200, description="Its name, such as silver-kraken.")]


class StreamsOut(BaseModel):
    """The streams that run on this home, as they noted it themselves."""

    pid: int | None = Field(description="The process that runs them; null: none runs.")
    streams: list[dict[str, Any]]


class SteeredStream(BaseModel):
    """What is wanted of a stream, and how it stands."""

    stream: str
    wish: str = Field(description="run or pause; holds over every restart.")
    restarts: int = Field(description="How often somebody had it started again.")
    state: str | None = Field(description="As it noted itself; null: it runs nowhere.")
    stands_still: bool = Field(description="Whether its offsets move no more.")


@router.get("")
def streams(request: Request) -> StreamsOut:
    """Show what each stream does."""
    facts = running(settings_of(request))
    return StreamsOut(pid=facts["pid"], streams=facts["streams"])


@router.post("/{name}/pause", responses={202: {"model": SteeredStream}})
def pause(request: Request, response: Response, name: StreamName) -> SteeredStream:
    """Let a stream stand still until it is resumed or restarted, over every restart of K2. Answers when
    its offsets stand still; 202 when they do not yet.
    """
    wishes = _wishes(request, name)
    wishes.pause(name)
    settings = settings_of(request)
    end = time.monotonic() + settings.api_timeout_seconds * _SHARE_OF_TIMEOUT
    while not (found := _steered(settings, wishes, name)).stands_still and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    response.status_code = 200 if found.stands_still else 202
    return found


@router.post("/{name}/resume", status_code=202)
def resume(request: Request, name: StreamName) -> SteeredStream:
    """Let a paused stream go on from its checkpoint."""
    wishes = _wishes(request, name)
    wishes.resume(name)
    return _steered(settings_of(request), wishes, name)


@router.post("/{name}/restart", status_code=202)
def restart(request: Request, name: StreamName) -> SteeredStream:
    """Stop a stream and start it again from its checkpoint, one that was paused or has failed too."""
    wishes = _wishes(request, name)
    wishes.restart(name)
    return _steered(settings_of(request), wishes, name)


def _wishes(request: Request, name: str) -> StreamWishes:
    from k2.topology import stream_names  # with it come the libraries of all streams

    known = stream_names()
    if name not in known:
        raise UnknownStreamError(
            f"There is no stream {name[:60]!r}.{did_you_mean(name, known)}"
            f" There are {', '.join(known)}."
        )
    return StreamWishes(registry_of(request).database)


def _steered(settings: Settings, wishes: StreamWishes, name: str) -> SteeredStream:
    wish = wishes.all().get(name)
    noted = {stream["name"]: stream["state"] for stream in running(settings)["streams"]}
    state = noted.get(name)
    locks = settings.run / "locks"
    runs = any(is_held(locks, path.stem) for path in locks.glob(f"{name}-v*.lock"))
    return SteeredStream(
        stream=name,
        wish="pause" if wish is not None and wish.is_paused else "run",
        restarts=0 if wish is None else wish.restarts,
        state=state if runs else None,
        stands_still=not runs or state in _STILL,
    )
