"""Turn errors into HTTP answers: a status, a sentence, and nothing else."""

import math
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from k2.errors import ConfigError, InUseError, K2Error, UnavailableError
from k2.jobs.database import RegistryDamagedError
from k2.jobs.job_rows import UnknownJobError
from k2.jobs.stream_wishes import UnknownStreamError
from k2.observability.redaction import redacted

log = structlog.get_logger("k2.api")

_RETRY_SECONDS = 5

# The first that fits.
_STATUS: tuple[tuple[type[K2Error], int], ...] = (
    (UnknownJobError, 404),
    (UnknownStreamError, 404),
    (RegistryDamagedError, 503),
    (InUseError, 409),
    (ConfigError, 422),
    (UnavailableError, 503),
)


class Problem(BaseModel):
    """Why a request was not done."""

    error: str = Field(description="A sentence: what is wrong, and what helps.")
    kind: str = Field(description="The error's class; see the reference of errors.")
    request_id: str = Field(description="Stands in the log, and in the events of a job.")


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The request is none.",
        401: "No token, or a wrong one.",
        403: "Asked from a page of another site, or for another host.",
        404: "There is no such thing.",
        409: "Not possible in the state that it is in.",
        413: "The body is too large.",
        422: "A parameter is unknown, missing or out of range.",
        429: "Too many requests; Retry-After says when.",
        500: "It could not be done.",
        503: "Something that is needed does not answer; Retry-After says when.",
        504: "It took too long.",
    }.items()
}


def status_of(error: K2Error) -> int:
    """Return the status that an error is answered with."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(
    status: int, sentence: str, kind: str, request_id: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer that says what is wrong."""
    content = {"error": str(redacted(sentence)), "kind": kind, "request_id": request_id}
    return JSONResponse(content, status, headers)


def add_handlers(app: FastAPI) -> None:
    """Answer every error of the application as a :class:`Problem`."""

    @app.exception_handler(K2Error)
    def failed(request: Request, error: K2Error) -> JSONResponse:
        status = status_of(error)
        asked = getattr(error, "retry_after_seconds", _RETRY_SECONDS)
        headers = {"Retry-After": str(math.ceil(asked))} if status == 503 else None
        return problem(status, str(error), type(error).__name__, _id_of(request), headers)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return problem(422, f"{place}: {first['msg']}.", "ConfigError", _id_of(request))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        sentence = f"{request.method} {request.url.path[:200]}: {error.detail}."
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, sentence, "ConfigError", _id_of(request), headers)

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> JSONResponse:
        log.error("request_broken", path=request.url.path, exc_info=error)
        sentence = f"{type(error).__name__}: a defect of K2; the log of the service has more."
        return problem(500, sentence, "FailedError", _id_of(request))


def _id_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))
