"""Check every request before K2 handles it: id, host, token, rate, size and time."""

import asyncio
import hmac
import math
import re
import secrets
import time
from typing import Any

import structlog
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from k2.errors import ConfigError
from k2.service.answers import problem
from k2.settings import Settings

log = structlog.get_logger("k2.api")

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OPEN = ("/health", "/ready")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_STREAMED = re.compile(r"/v1/jobs/[^/]+/events")
_LARGE = re.compile(r"/v1/records/[^/]+/batch")


def parse_rates(settings: Settings) -> list[RateLimitItem]:
    """Return the rates of ``K2_API_RATE``.

    Raises:
        ConfigError: it is none.
    """
    try:
        return parse_many(settings.api_rate)
    except ValueError as error:
        raise ConfigError(
            f"K2_API_RATE={settings.api_rate!r} is no rate; write 1000/second."
        ) from error


class TooLargeError(Exception):
    """The body has more bytes than are taken."""


class Guard:
    """Lets a request through to the application, or answers it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Take the limits from the settings."""
        self._app, self._settings = app, settings
        token = settings.api_token
        self._token = token.get_secret_value().encode() if token else None
        self._rates = parse_rates(settings)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _ID.fullmatch(asked) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        passing = _Passing(send, request_id)
        began = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            refusal = self._refusal(scope, headers, request_id)
            if refusal is None:
                await self._pass(scope, receive, passing)
            else:
                await refusal(scope, receive, passing.send)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=passing.status,
                milliseconds=round((time.monotonic() - began) * 1000, 1),
            )

    def _refusal(self, scope: Scope, headers: Headers, request_id: str) -> Any:
        path = scope["path"]
        if not self._knows_host(headers):
            sentence = "This service answers for its own address only; the Host is another one."
            return problem(403, sentence, "ConfigError", request_id)
        client = (scope.get("client") or ("unknown",))[0]
        if path not in _OPEN and (wait := self._wait_seconds(client)):
            sentence = f"Too many requests (at most {self._settings.api_rate}); wait {wait} s."
            return problem(
                429, sentence, "UnavailableError", request_id, {"Retry-After": str(wait)}
            )
        if path not in _OPEN and self._token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode(), self._token)
            if scheme.lower() != "bearer" or not right:
                what = "The token is wrong" if given else "A token is missing"
                sentence = f"{what}; send the header `Authorization: Bearer …` with K2_API_TOKEN."
                return problem(
                    401, sentence, "ConfigError", request_id, {"WWW-Authenticate": "Bearer"}
                )
        length = headers.get("content-length", "0")
        most = self._most_bytes(path)
        if length.isdecimal() and int(length) > most:
            return _too_large(most, request_id)
        return None

    def _knows_host(self, headers: Headers) -> bool:
        """A page of another site can make a browser send requests here; the host or origin in them shows it."""
        host = _name_of(headers.get("host", ""))
        on_loopback = self._settings.api_host in LOOPBACK
        if on_loopback and host not in LOOPBACK and host != "testserver":
            return False
        origin = headers.get("origin")
        return origin is None or _name_of(origin.partition("://")[2]) == host

    def _wait_seconds(self, client: str) -> int:
        wait = 0.0
        for rate in self._rates:
            if not self._limiter.hit(rate, client):
                reset = self._limiter.get_window_stats(rate, client).reset_time
                wait = max(wait, reset - time.time())
        return max(math.ceil(wait), 1) if wait else 0

    def _most_bytes(self, path: str) -> int:
        if _LARGE.fullmatch(path):
            return self._settings.api_max_batch_bytes
        return self._settings.api_max_body_bytes

    async def _pass(self, scope: Scope, receive: Receive, passing: "_Passing") -> None:
        request_id, path = passing.request_id, scope["path"]
        most = self._most_bytes(path)
        taken = 0

        async def receive_limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                passing.is_refused = True  # whatever the application makes of it
                raise TooLargeError
            return message

        seconds = None if _STREAMED.fullmatch(path) else self._settings.api_timeout_seconds
        try:
            await asyncio.wait_for(self._app(scope, receive_limited, passing.send), seconds)
        except TooLargeError:
            pass
        except TimeoutError:
            sentence = f"Given up after {seconds:g} s; what was begun may still be done."
            answer = problem(504, sentence, "UnavailableError", request_id)
            if not passing.status:
                await answer(scope, receive, passing.send)
        if passing.is_refused and not passing.status:
            passing.is_refused = False
            await _too_large(most, request_id)(scope, receive, passing.send)


class _Passing:
    """Sends an answer, with the request's id, and knows its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self.request_id, self.status = send, request_id, 0
        self.is_refused = False

    async def send(self, message: Message) -> None:
        if self.is_refused:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cache-Control"] = "no-store"
        await self._send(message)


def _too_large(most: int, request_id: str) -> Any:
    sentence = f"The body is too large; {most:,} bytes are the most that are taken."
    return problem(413, sentence, "ConfigError", request_id, {"Connection": "close"})


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host if ":" in host else host
