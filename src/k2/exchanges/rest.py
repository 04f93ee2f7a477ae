"""Check answers of an exchange's REST interface: whether one is good, and whether a retry can help."""

from k2.errors import FailedError, UnavailableError
from k2.exchanges.live import Answer
from k2.retry import retry_after


class LimitedError(UnavailableError):
    """The exchange's limit of requests is reached, or it has banned us for a while."""

    def __init__(self, message: str, retry_after_seconds: float | None) -> None:
        """Keep the pause that ``Retry-After`` asks for, if there was one."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def require_ok(answer: Answer, path: str) -> bytes:
    """Return the body of a good answer.

    Raises:
        LimitedError: 429 or 418, over the limit.
        UnavailableError: 5xx or a network's answer; later it may do.
        FailedError: anything else: asking again gives the same.
    """
    if answer.status == 200:
        return answer.body
    said = answer.body[:200].decode("utf-8", "replace")
    text = f"{path} answered {answer.status}: {said}"
    if answer.status in (418, 429):
        raise LimitedError(text, retry_after(answer.headers.get("retry-after")))
    if answer.status >= 500:
        raise UnavailableError(text)
    raise FailedError(text)
