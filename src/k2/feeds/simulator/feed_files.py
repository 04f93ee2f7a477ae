"""Files of a simulated feed under ``K2_HOME/run``: how to continue, and how it is doing."""

import json
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_fixed,
)

from k2.errors import ConfigError, is_full_disk
from k2.feeds.simulator.simulation import Progress
from k2.home.atomic_files import replace_whole

log = structlog.get_logger("k2.feeds")

_LOOKS = 120
_BETWEEN_LOOKS = 0.25  # seconds


def read_progress(file: Path) -> Progress:
    """Return what an earlier simulation left; a fresh start where there is nothing.

    Raises:
        ConfigError: the file cannot be understood.
    """
    try:
        return Progress(**json.loads(file.read_text(encoding="ascii")))
    except FileNotFoundError:
        return Progress()
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{file} is not the simulator's state ({error}); remove it to let trade ids begin anew,"
            " in a new K2_HOME."
        ) from error


def write_json(file: Path, content: dict[str, Any], stop: Event) -> None:
    """Replace ``file`` by ``content``, whole or not at all.

    A disk may be full for a moment only: so it waits for room, half a minute unless ``stop`` is set.
    When it gives up it sets ``stop`` itself, so that whoever ends waits no more.

    Raises:
        OSError: the file cannot be written.
    """
    waiting = Retrying(
        retry=retry_if_exception(is_full_disk),
        stop=stop_after_attempt(_LOOKS) | stop_when_event_set(stop),
        wait=wait_fixed(_BETWEEN_LOOKS),
        sleep=sleep_using_event(stop),
        before_sleep=_tell_once,
        reraise=True,
    )
    try:
        waiting(_replace, file, content)
    except OSError:
        stop.set()
        raise


def _replace(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(file, json.dumps(content).encode("ascii"))


def _tell_once(state: RetryCallState) -> None:
    if state.attempt_number == 1:
        with suppress(OSError):  # the log may be on the same disk
            log.warning("disk_full", file=str(state.args[0]), waits_seconds=_LOOKS * _BETWEEN_LOOKS)
