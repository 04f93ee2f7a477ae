"""Gaps of a live feed as durable jobs: submitted by a process of its own, looked up in the registry.

To submit takes the engine of jobs, which is not for a feed's memory.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from k2.errors import FailedError, first_line
from k2.exchanges.live import Missing
from k2.feeds.live.gap_filler import JobOutcome
from k2.settings import Settings

_SUBMIT_SECONDS = 60.0
_AGAIN_SECONDS = 3600  # after which the same gap may be asked for by another job


@dataclass(frozen=True)
class RefillGapJobs:
    """The jobs of a home; see :class:`k2.feeds.live.gap_filler.RefillJobs`."""

    settings: Settings

    async def submit(self, service: str, missing: Missing, history_url: str) -> str | None:
        """Ask for a job; None where nobody runs jobs."""
        from k2.cli.job_client import serves  # with SQLAlchemy, which few feeds ever need

        if not serves(self.settings):
            return None
        params = {"service": service, **missing._asdict(), "history_url": history_url}
        params["fail_on_nothing"] = False
        turn = int(time.time() // _AGAIN_SECONDS)
        key = f"gap-{service}-{missing.market}-{missing.first}-{missing.last}-{turn}"
        key = key.encode("ascii", "backslashreplace").decode()[:200]
        submitted = await self._run(params, key)
        return str(json.loads(submitted)["id"])

    async def outcome(self, job: str) -> JobOutcome | None:
        """Return what a job has come to; None while it goes on."""
        return await asyncio.to_thread(self._outcome, job)

    def _outcome(self, job: str) -> JobOutcome | None:
        from k2.cli.job_client import looking, no_reason
        from k2.jobs.model import JobState

        with looking(self.settings) as lookup:
            found = lookup.job(job)
        if not found.state.is_ended:
            return None
        if found.state is not JobState.COMPLETED or found.result is None:
            said = (found.error or {}).get("message") or no_reason(found)
            raise FailedError(f"Job {job} is {found.state}: {said}")
        missing = [(int(first), int(last)) for first, last in found.result["missing"]]
        return JobOutcome(missing, str(found.result["reason"]))

    async def _run(self, params: Mapping[str, object], key: str) -> bytes:
        arguments = [f"--param={name}={json.dumps(value)}" for name, value in params.items()]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "k2", "jobs", "submit", "refill-gap", *arguments),
            *("--key", key, "--detach", "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.settings.environment(),
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), _SUBMIT_SECONDS)
        except TimeoutError:
            process.kill()
            raise FailedError("The job was not submitted in time.") from None
        if process.returncode:
            raise FailedError(first_line(errors.decode(errors="replace")))
        return output
