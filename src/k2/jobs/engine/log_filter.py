"""Forward those log messages of dbos that say something K2 does not log itself."""

import logging
import time

_SECONDS = 60.0  # the same line once in so long: without its database dbos says 700 in 5 s
_MAX_REMEMBERED = 200


class _Sparing(logging.Filter):
    """Lets each kind of message through once a minute, and drops those about a job's own failure."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the message is worth a line."""
        if record.getMessage().startswith("Exception encountered in"):
            return False  # K2 has logged the failure of its job
        place, now = (record.pathname, record.lineno), time.monotonic()
        if now - self._last.get(place, -_SECONDS) < _SECONDS:
            return False
        if len(self._last) > _MAX_REMEMBERED:
            self._last.clear()
        self._last[place] = now
        record.exc_info = None
        return True


def quieten_dbos() -> None:
    """Send dbos's warnings to K2's log, sparingly; before dbos adds a handler of its own."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(held, logging.NullHandler) for held in logger.handlers):
        logger.addHandler(logging.NullHandler())  # with one, dbos adds none
        logger.addFilter(_Sparing())
    logger.propagate = True
