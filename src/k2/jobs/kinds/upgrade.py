"""``upgrade``: tables of an older version made anew from Bronze, and swapped in."""

from typing import Any

import orjson
from pydantic import Field

from k2.jobs.job_run import JobRun
from k2.jobs.kinds.command import ONCE, run_command
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.model import StepResult


class UpgradeParams(JobParams):
    """Whether to change anything, and what becomes of the old tables."""

    dry_run: bool = Field(False, description="Build and compare only; the tables stay.")
    keep_old: bool = Field(False, description="Keep the old tables in K2_HOME/before-upgrade-N.")


def run_upgrade(run: JobRun, params: UpgradeParams) -> dict[str, Any]:
    """Run `k2 upgrade` in a process that takes its memory with it. Begun again, it goes on where it
    ended.
    """

    def upgrade() -> StepResult:
        options = [
            *(["--dry-run"] if params.dry_run else []),
            *(["--keep-old"] if params.keep_old else []),
        ]
        found = orjson.loads(run_command(run, ["upgrade", "--here", *options, "--json"]))
        for difference in found.get("differences", ()):  # one example is enough for the registry
            difference["samples"] = {n: s[:1] for n, s in difference["samples"].items()}
        return StepResult(rows=1, data=found)

    return dict(run.step("upgrade", upgrade, policy=ONCE).data)


UPGRADE = JobKind(
    "upgrade",
    "Rebuild tables of an older version from Bronze and swap them in.",
    UpgradeParams,
    run_upgrade,
)
