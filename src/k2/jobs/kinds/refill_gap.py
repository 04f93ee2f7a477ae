"""``refill-gap``: trades that a live feed did not receive, from the exchange's history into Kafka."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, field_validator, model_validator

from k2.errors import FailedError
from k2.exchanges import exchange_named
from k2.exchanges.live import LiveService, Missing
from k2.exchanges.live_services import LIVE_SERVICES
from k2.feeds.live.holes import ranges_without
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.kinds.replay import prepare_encoder
from k2.jobs.model import StepResult, StepStatus
from k2.retry import POLICY

_PART = 10_000  # numbers of a step
_LOOKS = 3  # at a history that may lag behind
_NOT_THERE = "the exchange's history does not have it"


class RefillGapParams(JobParams):
    """Which numbers of which market."""

    service: str = Field(description="The live service, as `k2 feed services` lists them.")
    market: str = Field(
        min_length=1, max_length=100, description="The exchange's own name of the market."
    )
    first: int = Field(ge=0, lt=2**63, description="The first number that is missing.")
    last: int = Field(ge=0, lt=2**63, description="The last one.")
    after_us: int = Field(
        0,
        ge=0,
        lt=2**62,
        description="Time of the trade before them, µs since 1970; Kraken needs it.",
    )
    history_url: str = Field(
        "", max_length=500, description="Where to ask, if not at the exchange's own address."
    )

    @field_validator("service")
    @classmethod
    def _has_history(cls, name: str) -> str:
        if name not in LIVE_SERVICES or LIVE_SERVICES[name].history is None:
            raise ValueError(f"known services with a history: {', '.join(LIVE_SERVICES)}")
        return name

    @model_validator(mode="after")
    def _is_range(self) -> "RefillGapParams":
        if self.last < self.first:
            raise ValueError("last is before first")
        return self


def run_refill_gap(run: JobRun, params: RefillGapParams) -> dict[str, Any]:
    """Fetch the range, some thousand numbers a step; what is sent twice Silver knows as duplicates."""
    from k2.feeds.producer import FeedProducer
    from k2.home.endpoints import find_endpoints

    encode = prepare_encoder(run, exchange_named(LIVE_SERVICES[params.service].exchange))
    run.expect(params.last - params.first + 1)
    missing: list[list[int]] = []
    reason, after_us = "", params.after_us
    with FeedProducer(find_endpoints(run.settings).kafka) as producer:
        for first in range(params.first, params.last + 1, _PART):
            part = Missing(params.market, first, min(first + _PART - 1, params.last), after_us)

            def fetch(part: Missing = part) -> StepResult:
                found = _Part(LIVE_SERVICES[params.service], params.history_url, encode, producer)
                return found.fetch(run, part)

            data = run.step(f"fetch {part.first}-{part.last}", fetch).data
            missing = _joined([*missing, *data["missing"]])
            reason, after_us = reason or data["reason"], data["newest_us"]
        run.step("record", lambda: _record(params, missing, reason, producer))
    filled = params.last - params.first + 1 - sum(last - first + 1 for first, last in missing)
    return {
        **{"service": params.service, "market": params.market, "filled": filled},
        **{"missing": missing, "reason": reason},
    }


@dataclass
class _Part:
    """The trades of one part that came."""

    service: LiveService
    url: str
    encode: Any
    producer: Any
    newest_us: int = 0
    numbers: set[int] = field(default_factory=set)

    def fetch(self, run: JobRun, part: Missing) -> StepResult:
        self.newest_us = part.after_us
        reason = ""
        for look in range(1, _LOOKS + 1):
            try:
                for first, last in self._missing(part):
                    asyncio.run(self._ask(part._replace(first=first, last=last)))
            except FailedError as error:
                reason = str(error)[:300]
                break
            if len(self.numbers) == part.last - part.first + 1:
                break
            if look < _LOOKS:
                run.wait(POLICY.delay_seconds(look))
        self.producer.flush()
        missing = self._missing(part)
        said = (reason or _NOT_THERE) if missing else ""
        data = {"missing": missing, "newest_us": self.newest_us, "reason": said}
        status = StepStatus.WARNED if missing else StepStatus.OK
        return StepResult(len(self.numbers), status, said, data)

    def _missing(self, part: Missing) -> list[tuple[int, int]]:
        came = ((number, number) for number in sorted(self.numbers))
        return list(ranges_without(came, part.first, part.last))

    async def _ask(self, missing: Missing) -> None:
        import httpx

        from k2.feeds.live.refill import Refill

        history = self.service.history
        assert history is not None  # noqa: S101 — checked with the parameters
        async with httpx.AsyncClient(http2=False, follow_redirects=False) as client:
            await Refill(history, self.url or history.url, self._take, client).fetch(missing)

    def _take(self, message: bytes, received_us: int) -> None:
        from k2.exchanges.parsers import parser_of

        exchange = exchange_named(self.service.exchange)
        parsed = parser_of(exchange.name)(message, received_us)
        if parsed.rejected is not None:
            raise FailedError(f"the history gave no trade: {parsed.rejected}")
        for record in parsed.trades:
            first, last = self.service.numbers(record) or (0, -1)
            self.numbers.update(range(first, last + 1))
            self.newest_us = max(self.newest_us, parsed.event_us or 0)
            key, time_ms = record["symbol"].encode(), received_us // 1000
            self.producer.send(exchange.topic, key, self.encode(record), time_ms)


def _joined(ranges: Iterable[list[int]]) -> list[list[int]]:
    """Make one of ranges that follow each other."""
    found: list[list[int]] = []
    for first, last in ranges:
        if found and found[-1][1] == first - 1:
            found[-1] = [found[-1][0], last]
        else:
            found.append([first, last])
    return found


def _record(
    params: RefillGapParams, missing: Iterable[list[int]], reason: str, producer: Any
) -> StepResult:
    """Tell what became of the gap, as the feed does of those that it fills itself."""
    from k2.feeds.live.journal import FeedJournal

    journal = FeedJournal(
        LIVE_SERVICES[params.service].exchange,
        params.service,
        lambda record: producer.send(record.topic, record.key, record.value, record.time_ms),
    )
    gone = [(first, last) for first, last in missing]
    for first, last in gone:
        journal.write("gap_final", markets=[params.market], first=first, last=last, reason=reason)
    for first, last in ranges_without(gone, params.first, params.last):
        journal.write("gap_closed", markets=[params.market], first=first, last=last)
    producer.flush()
    return StepResult()


REFILL_GAP = JobKind(
    "refill-gap",
    "Fetch trades that a live feed did not receive from the exchange's history.",
    RefillGapParams,
    run_refill_gap,
)
