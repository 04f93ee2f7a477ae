"""Run K2 commands as child processes that never outlive this one."""

import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from k2.settings import Settings

# Runs k2 until its standard input ends, which it does when we die, however that happens. What a script starts in
# the background ignores Ctrl-C, and so does all below it; ours is asked to end by one.
_TIED_TO_US = """\
import os, signal, threading
os.nice({niceness})
signal.signal(signal.SIGINT, signal.default_int_handler)
def end_with_parent():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end_with_parent, daemon=True).start()
from k2.cli.app import main
main()
"""


def start_tied(
    settings: Settings,
    arguments: Sequence[str],
    output: IO[bytes],
    errors: IO[bytes] | None = None,
    *,
    niceness: int = 0,
) -> "subprocess.Popen[bytes]":
    """Start ``k2`` with these arguments on the same home; it ends when this process does.

    With ``niceness`` it leaves the machine to others, from its first line on.
    """
    return subprocess.Popen(  # noqa: S603 — our own interpreter and arguments
        [sys.executable, "-c", _TIED_TO_US.format(niceness=niceness), *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors or output,
        # Ctrl-C is ours to hand on, after which the child ends as it should.
        process_group=0,
        env=settings.environment(),
    )
