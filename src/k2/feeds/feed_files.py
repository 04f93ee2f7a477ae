"""Files of a simulated feed under ``K2_HOME/run``: how to continue, and how it is doing."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from k2.errors import ConfigError
from k2.feeds.simulation import Progress


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


def write_progress(file: Path, progress: Progress) -> None:
    """Replace the file, whole or not at all."""
    write_json(file, asdict(progress))


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Replace ``file`` by ``content``, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(content), encoding="ascii")
    partial.replace(file)
