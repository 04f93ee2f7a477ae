"""A failed batch as Spark is told of it: in few words.

Spark takes a Python error as text, and when the query is being stopped it searches that text for an
interruption with a regular expression that recurs with each character: a Java stack trace of some
thousands overflows the thread's stack, and the query dies of that instead of its stop
(``StreamExecution.PROXY_ERROR``, Spark 4.0). The whole error stays on K2's side.
"""

_MOST_CHARACTERS = 400  # of an error; a thread's stack bears about 3,000


class BatchFailure(Exception):
    """What Spark gets to read of an error."""


def batch_failure(error: Exception) -> BatchFailure:
    """Return an error in the words that Spark looks for: its type, its message, Java's own type."""
    kind = type(error)
    lines = (line for line in str(error).splitlines() if line.strip() and line[0] not in " \t")
    said = "\n".join(lines)[:_MOST_CHARACTERS]
    return BatchFailure(f"{kind.__module__}.{kind.__qualname__}: {said}")
