"""Requests to the process that owns a stream's tables, as files.

Only the owner of a stream's tables may write them. A command therefore leaves a request in
``K2_HOME/run/requests``; the owner executes it between two batches and leaves the answer. A request stays
until it is answered: if its owner dies, the next owner executes it.
"""

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from k2.errors import ConfigError, FailedError, K2Error, UnavailableError
from k2.home.atomic_files import replace_whole
from k2.observability.redaction import redacted
from k2.settings import Settings

REPLAY, MAINTAIN, VERSIONS = "dlq-replay", "maintain", "versions"
_KEPT_SECONDS = 86_400.0  # of an answer whose asker did not wait for it


@dataclass(frozen=True)
class Request:
    """What the owner of a stream's tables is asked to do."""

    kind: str
    stream: str
    options: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


# Keeps the stream's batches out while it is held.
ExclusiveSection = Callable[[], AbstractContextManager[None]]

# Executes a request to a stream: with the section in which its tables are not written, and whether it
# should continue. Returns the answer; None when it should not, and the rest is left to the next owner.
RequestHandler = Callable[[Request, ExclusiveSection, Callable[[], bool]], dict[str, Any] | None]


def submit(settings: Settings, request: Request) -> None:
    """Leave a request."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.answer"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                path.unlink()
    _write(folder / f"{request.id}.json", asdict(request))


def pending(settings: Settings, streams: Collection[str]) -> list[Request]:
    """Return the unanswered requests to these streams, oldest first."""
    ages: dict[Path, float] = {}
    for path in _folder(settings).glob("*.json"):
        with suppress(FileNotFoundError):
            ages[path] = path.stat().st_mtime
    requests = []
    for path in sorted(ages, key=lambda path: (ages[path], path.name)):
        # Gone meanwhile, or nothing that a command of this version wrote.
        with suppress(FileNotFoundError, ValueError, TypeError):
            requests.append(Request(**orjson.loads(path.read_bytes())))
    return [request for request in requests if request.stream in streams]


def answer(settings: Settings, request: Request, said: Mapping[str, Any] | K2Error) -> None:
    """Leave the answer, then remove the request."""
    folder = _folder(settings)
    outcome: dict[str, Any] = {"result": said}
    if isinstance(said, K2Error):
        outcome = {"error": redacted(str(said)), "exit_code": said.exit_code}
    _write(folder / f"{request.id}.answer", outcome)
    (folder / f"{request.id}.json").unlink(missing_ok=True)


def answered(settings: Settings, request: Request) -> dict[str, Any] | None:
    """Return the answer; None when there is none yet.

    Raises:
        K2Error: the answer is an error.
    """
    try:
        outcome = orjson.loads((_folder(settings) / f"{request.id}.answer").read_bytes())
    except FileNotFoundError:
        return None
    if "error" in outcome:
        kinds: dict[int, type[K2Error]] = {2: ConfigError, 3: UnavailableError}
        raise kinds.get(outcome["exit_code"], FailedError)(outcome["error"])
    return dict(outcome["result"])


def delete_request(settings: Settings, request: Request) -> None:
    """Remove a request and its answer."""
    for suffix in ("json", "answer"):
        (_folder(settings) / f"{request.id}.{suffix}").unlink(missing_ok=True)


def _folder(settings: Settings) -> Path:
    return settings.run / "requests"


def _write(path: Path, content: Mapping[str, Any]) -> None:
    replace_whole(path, orjson.dumps(content, default=str))
