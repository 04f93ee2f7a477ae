"""Find what is wrong with a run, in sentences that say what to do, for ``k2 status``."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from k2.errors import FailedError, UnavailableError
from k2.local.orphans import find_orphans, killed_run, run_owner
from k2.observability.status import read_status
from k2.settings import Settings


class Problem(NamedTuple):
    """One of them, and the exit code of ``k2 status --check`` for it."""

    sentence: str
    exit_code: int = FailedError.exit_code


def find_problems(settings: Settings, facts: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong, by what was collected and what the run noted; empty when all is well."""
    if run_owner(settings) is None:
        killed = _say_killed(settings)
        # Streams that were submitted to Spark need no run of `k2 up`.
        if killed is not None or not facts["streams"]:
            return [killed or _say_nothing_runs(settings, facts)]
    problems = [
        Problem(_say_down(name, service), UnavailableError.exit_code)
        for name, service in facts["services"].items()
        if service["state"] != "up"
    ]
    written = read_status(settings.run / "streams.json")
    if written is not None and not facts["streams"]:
        problems.append(
            Problem(
                f"The streams have said nothing since {_moment(written['written_at'])};"
                f" see {settings.logs / 'k2.log'}."
            )
        )
    return problems + [
        Problem(f"Stream {stream['name']} is {stream['state']}: {stream['error']}")
        for stream in facts["streams"]
        if stream["state"] in ("failed", "retrying")
    ]


def _say_down(name: str, service: Mapping[str, Any]) -> str:
    address = service["address"]
    return f"{name} does not answer at {address}." if address else f"{name} is not up yet."


def _say_nothing_runs(settings: Settings, facts: Mapping[str, Any]) -> Problem:
    down = [name for name, service in facts["services"].items() if service["state"] == "no answer"]
    if down:
        return Problem(f"{' and '.join(down)} does not answer.", UnavailableError.exit_code)
    return Problem(f"Nothing runs on {settings.home}. `k2 up` starts it.")


def _say_killed(settings: Settings) -> Problem | None:
    killed = killed_run(settings)
    if killed is None:
        return None
    if not killed.is_of_this_boot:
        cause = "ended when this machine was restarted"
    else:
        cause = (
            f"was killed, by somebody or for want of memory (`dmesg` tells), or crashed"
            f" ({settings.logs / 'k2.out'} and spark-driver.log beside it have its last words)"
        )
    written = read_status(settings.run / "streams.json")
    seen = f", last seen at {_moment(written['written_at'])}," if written else ""
    left = find_orphans(settings)
    still = f" Still there: {', '.join(left)}; `k2 down` ends that." if left else ""
    return Problem(
        f"The run (process {killed.pid}){seen} {cause}. Nothing is lost: `k2 up` goes on where it"
        f" ended.{still}"
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
