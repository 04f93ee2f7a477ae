"""Events to an HTTP address, signed as Standard Webhooks say.

The signature is ``v1,`` and the base64 of HMAC-SHA256 over ``<webhook-id>.<webhook-timestamp>.<body>``.
"""

import base64
import hashlib
import hmac
import time
from urllib.parse import urlsplit

import httpx

from k2.errors import ConfigError, first_line
from k2.jobs.delivery.cloud_events import CONTENT_TYPE, as_json
from k2.jobs.delivery.sink import SinkRefusedError, SinkUnavailableError
from k2.jobs.outbox import Event
from k2.observability.redaction import redacted
from k2.retry import retry_after

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_LATER = (408, 425, 429)  # of the client errors those that pass


class WebhookSink:
    """Posts each event to one address; follows no redirect, as that would hand the event to another."""

    def __init__(self, url: str, secret: str = "") -> None:
        """Check the address.

        Raises:
            ConfigError: it is none.
        """
        self.name = _name_of(url)
        self._url, self._secret = url, secret.encode()
        self._client = httpx.Client(
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    def deliver(self, event: Event) -> None:
        """Post one event; any 2xx answer is its receipt."""
        body = as_json(event)
        headers = {"Content-Type": CONTENT_TYPE, **self._signed(str(event.seq), body)}
        deadline = time.monotonic() + _ANSWER_SECONDS
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                for _ in answer.iter_raw():  # a drop at a time is no answer either
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("the answer does not end")
        except httpx.TimeoutException as error:
            raise SinkUnavailableError(
                f"{self.name} did not answer within {_ANSWER_SECONDS:.0f} s."
            ) from error
        except httpx.HTTPError as error:
            said = first_line(str(error) or type(error).__name__, 200)
            raise SinkUnavailableError(f"{self.name} cannot be reached: {said}.") from error
        self._require_taken(answer)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _require_taken(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise SinkRefusedError(
                f"{self.name} redirects ({status}), which is not followed; set K2_EVENTS_WEBHOOKS to"
                " the address where events are taken."
            )
        if status >= 500 or status in _LATER:
            raise SinkUnavailableError(
                f"{self.name} answered {status}.", retry_after(answer.headers.get("retry-after"))
            )
        raise SinkRefusedError(f"{self.name} refuses the event ({status}).")

    def _signed(self, event_id: str, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        headers = {"webhook-id": event_id, "webhook-timestamp": stamp}
        if self._secret:
            headers["webhook-signature"] = signature(self._secret, event_id, stamp, body)
        return headers


def _name_of(url: str) -> str:
    refused = f"K2_EVENTS_WEBHOOKS: {redacted(url)!r} is no http:// or https:// address."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # a port that is no number, half an IPv6 address
        raise ConfigError(refused) from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(refused)
    return f"webhook:{host}{f':{port}' if port else ''}{parts.path}"


def signature(secret: bytes, event_id: str, stamp: str, body: bytes) -> str:
    """Return what a receiver compares the header ``webhook-signature`` with."""
    signed = b".".join((event_id.encode(), stamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
