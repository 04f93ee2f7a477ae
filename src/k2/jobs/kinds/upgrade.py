"""``upgrade``: tables of an older version made anew from Bronze, and swapped in."""

from typing import Any

from pydantic import Field

from k2.exchanges import EXCHANGES
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.command_steps import run_command_in_steps
from k2.jobs.kinds.kind import JobKind, JobParams


class UpgradeParams(JobParams):
    """Whether to change anything, and what becomes of the old tables."""

    dry_run: bool = Field(False, description="Build and compare only; the tables stay.")
    keep_old: bool = Field(False, description="Keep the old tables in K2_HOME/before-upgrade-N.")


def run_upgrade(run: JobRun, params: UpgradeParams) -> dict[str, Any]:
    """Run `k2 upgrade` in a process that takes its memory with it. Begun again, it goes on where it
    ended.
    """
    options = [
        *(["--dry-run"] if params.dry_run else []),
        *(["--keep-old"] if params.keep_old else []),
    ]
    steps = [*(f"silver-{exchange.name}" for exchange in EXCHANGES), "gold", "ohlcv", "proof"]
    return run_command_in_steps(
        run, ["upgrade", "--here", *options], steps if params.dry_run else [*steps, "swap"]
    )


UPGRADE = JobKind(
    "upgrade",
    "Rebuild tables of an older version from Bronze and swap them in.",
    UpgradeParams,
    run_upgrade,
)
