"""Logs: one event a line, JSON for machines, readable on a terminal."""

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from k2.observability.redaction import redacted
from k2.settings import Settings

# Before the order of chance: who, then what became of it.
_FIRST = ("time", "level", "event", "job_name", "exchange", "layer", "batch_id")


class _K2Handler(logging.StreamHandler[TextIO]):
    """Sends the libraries' log lines to K2's log; of its own type, so that it can be found and replaced."""


# Py4J logs Ctrl-C with a traceback when it meets it in a call, and raises it as well.
_INTERRUPTED = "KeyboardInterrupt while sending command"


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Send K2's and the libraries' logs to ``stream`` (standard error when not given)."""
    target = stream or sys.stderr
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and target.isatty()
    )
    level = getattr(logging, settings.log_level.upper())
    rendered = _rendering(console)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_described(), *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    _take_in_libraries(target, max(level, logging.WARNING), rendered)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hide secrets, by the names of fields and by their form in any text, a traceback's too."""
    return {name: redacted(value, name) for name, value in event.items()}


def _described() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _rendering(console: bool) -> list[Processor]:
    # The traceback becomes text before redaction, which would not look into it else.
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if console
        else [_ordered, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    return [structlog.processors.format_exc_info, redact, *last]


def _ordered(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    first = {name: event[name] for name in _FIRST if name in event}
    return {**first, **event}


def _take_in_libraries(target: TextIO, level: int, rendered: Sequence[Processor]) -> None:
    handler = _K2Handler(target)
    handler.setLevel(level)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_described()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    for old in [held for held in root.handlers if isinstance(held, _K2Handler)]:
        root.removeHandler(old)
    handler.addFilter(lambda record: _INTERRUPTED not in record.getMessage())
    root.addHandler(handler)
    # PySpark prints every Java exception as a page of JSON, though it raises it as well.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
