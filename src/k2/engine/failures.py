"""Turn the failure of a query into one K2 error: a sentence, and whether a retry may help."""

import time

from k2.engine.stream import StreamHandle
from k2.errors import FailedError, K2Error, first_line, text_of
from k2.observability.failure_kinds import SHUT_DOWN, find_cause

# A job ends within five seconds of a signal: `k2.jvm.process_end`.
_SIGNAL_SECONDS = 5.0


def cause_of(running: StreamHandle) -> K2Error:
    """Return why a query ended; a job that was told to end while a batch ran ends here, without one."""
    error = _cause_of(running)
    if find_cause(str(error)) is SHUT_DOWN:
        time.sleep(_SIGNAL_SECONDS)  # an interrupt ends it, or the end of the process
    return error


def _cause_of(running: StreamHandle) -> K2Error:
    if isinstance(running.failure, K2Error):
        return running.failure
    if running.failure is not None:
        kind = type(running.failure).__name__
        return classify(running.stream.name, f"{kind}: {text_of(running.failure)}")
    try:
        exception = running.query.exception()
    except Exception as error:
        return FailedError(f"Spark's JVM no longer answers: {first_line(text_of(error))}")
    if exception is None:
        return FailedError(f"Stream {running.stream.name} stopped without an error.")
    return classify(running.stream.name, exception)


def classify(stream: str, exception: Exception | str) -> K2Error:
    """Turn Spark's account of a failure into K2's."""
    text = text_of(exception)
    return find_cause(text).error_for(stream, text)
