"""Logs: one event a line, JSON for machines, readable on a terminal."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from k2.settings import Settings

_SECRET_NAMES = ("password", "secret", "token", "sasl", "credential", "api_key")


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Send K2's and the libraries' logs to ``stream`` (standard error when not given)."""
    target = stream or sys.stderr
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and target.isatty()
    )
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    # PySpark prints every Java exception as a page of JSON, though it raises it as well.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hide the values of fields whose names speak of secrets."""
    for name in event:
        if any(secret in name.lower() for secret in _SECRET_NAMES):
            event[name] = "***"
    return event
