"""The kinds of jobs: one module for each, with its parameters and its steps."""

from k2.jobs.kinds.clean_registry import CLEAN_REGISTRY
from k2.jobs.kinds.dlq_replay import DLQ_REPLAY
from k2.jobs.kinds.drain import DRAIN
from k2.jobs.kinds.kind import JobKinds
from k2.jobs.kinds.maintain import MAINTAIN_KIND
from k2.jobs.kinds.quality_check import QUALITY_CHECK
from k2.jobs.kinds.rebuild_bars import REBUILD_BARS
from k2.jobs.kinds.rebuild_silver import REBUILD_SILVER
from k2.jobs.kinds.refill_gap import REFILL_GAP
from k2.jobs.kinds.replay import REPLAY
from k2.jobs.kinds.simulate import SIMULATE
from k2.jobs.kinds.upgrade import UPGRADE

KINDS = JobKinds(
    (
        *(DLQ_REPLAY, REBUILD_SILVER, REBUILD_BARS, MAINTAIN_KIND, DRAIN, REPLAY, SIMULATE),
        *(UPGRADE, QUALITY_CHECK, CLEAN_REGISTRY, REFILL_GAP),
    )
)
