"""``maintain``: compact closed partitions and delete files that nothing needs."""

from typing import Any

from pydantic import Field

from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.model import StepResult


class MaintainParams(JobParams):
    """Which tables, and whether to change anything."""

    dry_run: bool = Field(False, description="Only say what would be done.")


def run_maintain(run: JobRun, params: MaintainParams) -> dict[str, Any]:
    """Look after the tables of each stream, one step a stream; one that fails stops no other."""
    from k2.engine.table_requests import MAINTAIN
    from k2.jobs.kinds.on_owner import ask_owner
    from k2.offline import local_streams
    from k2.topology import consumers_of

    streams = local_streams(run.settings)
    readers = {
        table: [str(checkpoint) for checkpoint in checkpoints]
        for table, checkpoints in consumers_of(streams, run.settings).items()
    }
    options = {"readers": readers, "dry_run": params.dry_run}
    found: dict[str, Any] = {}
    for stream in streams:

        def look_after(stream: Any = stream) -> StepResult:
            tables = ask_owner(run, MAINTAIN, stream, options)
            return StepResult(rows=len(tables), data=tables)

        found |= run.step(f"maintain {stream.name}", look_after, may_fail=True).data
    return {"dry_run": params.dry_run, "tables": found}


MAINTAIN_KIND = JobKind(
    "maintain",
    "Compact closed partitions of all tables and delete files that nothing needs.",
    MaintainParams,
    run_maintain,
)
