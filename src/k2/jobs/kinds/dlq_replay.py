"""``dlq-replay``: validate open dead letters again with today's schemas and rules."""

from typing import Any

from pydantic import Field

from k2.exchanges import EXCHANGES
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.kinds.parameters import ExchangeName
from k2.jobs.model import StepResult


class DlqReplayParams(JobParams):
    """Which dead letters."""

    exchange: ExchangeName | None = Field(None, description="Only this exchange's.")
    reason: str | None = Field(None, max_length=200, description="Only those with this reason.")


def run_dlq_replay(run: JobRun, params: DlqReplayParams) -> dict[str, Any]:
    """Replay one exchange after the other, a step each."""
    from k2.engine.table_requests import REPLAY
    from k2.jobs.kinds.on_owner import ask_owner
    from k2.offline import local_streams
    from k2.storage.table import Layer
    from k2.topology import stream_named

    names = [params.exchange] if params.exchange else [exchange.name for exchange in EXCHANGES]
    every = local_streams(run.settings)
    results = []
    for name in names:
        stream = stream_named(every, f"{Layer.SILVER}-{name}")

        def replay(stream: Any = stream) -> StepResult:
            result = ask_owner(run, REPLAY, stream, {"reason": params.reason})
            return StepResult(rows=result["considered"], data=result)

        results.append(dict(run.step(f"replay {name}", replay).data))
    return {"exchanges": results}


DLQ_REPLAY = JobKind(
    "dlq-replay",
    "Validate open dead letters again; what is a trade now enters Silver.",
    DlqReplayParams,
    run_dlq_replay,
)
