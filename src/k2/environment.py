"""The environment of this process: variables that would disturb K2, and what child processes inherit.

Settings are read in :mod:`k2.settings`; the variables here were meant for other programs.
"""

import os
import sys
from collections.abc import MutableMapping

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def inherited() -> MutableMapping[str, str]:
    """Return the variables that this process has, and gives to the programs that it starts."""
    return os.environ


def shield(environment: MutableMapping[str, str]) -> None:
    """Change variables that would disturb K2; call it before anything else is imported.

    * ``HTTP_PROXY`` and its like are for other machines: a proxy's loopback is not ours.
    * ``PROMETHEUS_MULTIPROC_DIR``, of a web server's workers, turns metrics into files that nobody reads.
    """
    for name in ("NO_PROXY", "no_proxy"):
        # Libraries look at either, and some at one alone.
        given = environment.get(name) or environment.get("no_proxy") or environment.get("NO_PROXY")
        hosts = [host.strip() for host in (given or "").split(",") if host.strip()]
        environment[name] = ",".join([*hosts, *(own for own in _LOOPBACK if own not in hosts)])
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        environment.pop(name, None)


def has_display() -> bool:
    """Tell whether a window can be opened from here."""
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
