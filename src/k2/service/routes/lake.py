"""``/v1/streams``, ``/v1/tables`` and ``/v1/balance``: what runs and what is stored."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from k2.connectors.kafka import watermarks
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES
from k2.home.endpoints import find_endpoints
from k2.observability.status import running
from k2.offline import stored_tables
from k2.quality.balance import balance
from k2.service.answers import ERROR_RESPONSES
from k2.settings import Settings

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


class StreamsOut(BaseModel):
    """The streams that run on this home, as they noted it themselves."""

    pid: int | None = Field(description="The process that runs them; null: none runs.")
    streams: list[dict[str, Any]]


def _settings_of(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


@router.get("/streams")
def streams(request: Request) -> StreamsOut:
    """Show what each stream does."""
    facts = running(_settings_of(request))
    return StreamsOut(pid=facts["pid"], streams=facts["streams"])


@router.get("/tables")
def tables(request: Request) -> list[TableOut]:
    """List the tables with rows, files and size."""
    return [TableOut.model_validate(facts) for facts in stored_tables(_settings_of(request))]


@router.get("/balance")
def show_balance(request: Request) -> BalanceOut:
    """Prove that no record is missing or doubled. While streams run, records on their way count as
    missing.
    """
    settings = _settings_of(request)
    accounts = balance(settings, EXCHANGES, _watermarks(settings))
    return BalanceOut(
        balanced=all(account.balanced for account in accounts),
        kafka_asked=accounts[0].kafka is not None,
        exchanges=[account.public() for account in accounts],
    )


def _watermarks(settings: Settings) -> Any:
    try:
        endpoints = find_endpoints(settings)
    except UnavailableError:
        return None
    return {exchange.topic: watermarks(endpoints.kafka, exchange.topic) for exchange in EXCHANGES}
