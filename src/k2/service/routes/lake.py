"""``/v1/tables``, ``/v1/balance`` and ``/v1/coverage``: what is stored.

What reads tables is imported when it is asked for: a service that is not does without its 90 MB.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES, exchange_named
from k2.home.endpoints import find_endpoints
from k2.service.answers import ERROR_RESPONSES
from k2.settings import Settings

if TYPE_CHECKING:
    from k2.connectors.committed_reader import CommittedReader

router = APIRouter(prefix="/v1", tags=["lake"], responses=ERROR_RESPONSES)


class TableOut(BaseModel):
    """A stored table."""

    table: str
    rows: int
    files: int
    bytes: int
    version: int
    comment: str
    path: str


class BalanceOut(BaseModel):
    """Whether every record is where it must be."""

    balanced: bool
    kafka_asked: bool = Field(description="false: Kafka does not run; proven from Bronze on.")
    exchanges: list[dict[str, Any]]


class GapOut(BaseModel):
    """Trades of a market that did not come."""

    first_id: int | None
    last_id: int | None
    start: datetime
    end: datetime
    cause: str = Field(alias="class", description="feed down, exchange halted, source archive, …")
    state: str = Field(description="open, repaired or accepted")
    reason: str | None
    found_at: datetime | None


class CoverageOut(BaseModel):
    """One market's hour; `ops_coverage` has the meaning of each field."""

    exchange: str
    symbol: str
    hour: datetime
    condition: str = Field(description="available, degraded, pending or missing")
    trades: int
    gold_trades: int
    observed: int | None
    expected: int | None
    missing: int
    first_id: int | None
    last_id: int | None
    first_at: datetime | None
    last_at: datetime | None
    gaps: list[GapOut]
    gap_count: int
    duplicates: int
    dead_letters: int
    late: int
    silence_seconds: float
    updated_at: datetime


def settings_of(request: Request) -> Settings:
    """Return the settings of the application."""
    settings: Settings = request.app.state.settings
    return settings


@router.get("/tables")
def tables(request: Request) -> list[TableOut]:
    """List the tables with rows, files and size."""
    from k2.offline import stored_tables

    return [TableOut.model_validate(facts) for facts in stored_tables(settings_of(request))]


@router.get("/balance")
def show_balance(request: Request) -> BalanceOut:
    """Prove that no record is missing or doubled. While streams run, records on their way to the next
    table count as in flight.
    """
    from k2.quality.balance import balance

    settings = settings_of(request)
    accounts = balance(settings, EXCHANGES, _broker(settings))
    return BalanceOut(
        balanced=all(account.balanced for account in accounts),
        kafka_asked=accounts[0].kafka is not None,
        exchanges=[account.public() for account in accounts],
    )


@router.get("/coverage")
def show_coverage(
    request: Request,
    symbol: Annotated[str | None, Query(description="A market, such as BTC-USDT.")] = None,
    exchange: Annotated[str | None, Query(description="An exchange.")] = None,
    since: Annotated[
        str, Query(description="How far back, such as 24h or 7d, or a time in UTC.")
    ] = "24h",
) -> list[CoverageOut]:
    """Show what is there of each market and hour, and what is missing."""
    from k2.lake.conditions import moment_before
    from k2.quality.coverage.ledger import Ledger

    name = exchange_named(exchange).name if exchange is not None else None
    now = datetime.now(UTC)
    rows = Ledger(settings_of(request).lake).rows(
        moment_before(since, now), now, name, symbol.upper() if symbol else None
    )
    return [CoverageOut.model_validate(row) for row in rows]


def _broker(settings: Settings) -> "CommittedReader | None":
    """Find Kafka where it is known; a home whose Kafka is stopped is proven from its tables."""
    from k2.connectors.committed_reader import CommittedReader

    try:
        return CommittedReader(find_endpoints(settings).kafka)
    except UnavailableError:
        return None
