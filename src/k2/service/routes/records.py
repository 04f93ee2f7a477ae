"""``/v1/records/{exchange}``: messages validated, or taken in by a job."""

import asyncio
import hashlib
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, Field

from k2.errors import ConfigError
from k2.exchanges import EXCHANGES, Exchange, exchange_named
from k2.service.answers import ERROR_RESPONSES
from k2.service.routes.jobs import registry_of
from k2.service.schemas import JobOut

if TYPE_CHECKING:
    from k2.service.validation import MessageValidator

router = APIRouter(prefix="/v1/records", tags=["records"], responses=ERROR_RESPONSES)

_NAMES = [exchange.name for exchange in EXCHANGES]
ExchangePath = Annotated[
    str, Path(description="Whose message it is.", json_schema_extra={"enum": _NAMES})
]
_MESSAGE = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"description": "A message as it came."}}},
    }
}
_LINES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string", "minLength": 1, "description": "A message a line."}
            }
        },
    }
}


class VerdictOut(BaseModel):
    """What a message is, and why."""

    exchange: str
    verdict: str = Field(description="trade, dead_letter, other or rejected")
    trades: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    reason: str = Field(description="Why the message was rejected.")


@router.post("/{exchange}", openapi_extra=_MESSAGE)
async def validate_record(request: Request, exchange: ExchangePath) -> VerdictOut:
    """Validate one message by the exchange's parser, schema, mapping and rules. Nothing is stored."""
    definition = exchange_named(exchange)
    message = await request.body()
    if not message.strip():
        raise ConfigError("The body is empty; send one message of the exchange.")
    validator = _validator_of(request, definition)
    found = await validator.validate(message.strip())
    return VerdictOut(
        exchange=definition.name,
        verdict=found.verdict,
        trades=found.trades,
        dead_letters=found.dead_letters,
        reason=found.reason,
    )


@router.post("/{exchange}/batch", status_code=202, openapi_extra=_LINES)
async def take_batch(
    request: Request,
    response: Response,
    exchange: ExchangePath,
    idempotency_key: Annotated[
        str | None, Header(description="The same key is the same job.")
    ] = None,
) -> JobOut:
    """Send messages, one on each line, to Kafka by a job of kind `replay`."""
    definition = exchange_named(exchange)
    body = await request.body()
    if not body.strip():
        raise ConfigError("The body is empty; send a message a line.")
    folder = request.app.state.settings.home / "uploads"
    file = await asyncio.to_thread(_keep, folder, body)
    params = {"files": [str(file)], "exchange": definition.name, "progress_interval": 1_000}
    submitted = await asyncio.to_thread(
        registry_of(request).submit,
        "replay",
        params,
        key=idempotency_key,
        request_id=request.state.request_id,
    )
    response.headers["Location"] = f"/v1/jobs/{submitted.job.id}"
    return JobOut.model_validate(submitted.job.as_json())


def _validator_of(request: Request, exchange: Exchange) -> "MessageValidator":
    """Imported when it is asked for: it brings the libraries of Silver."""
    from k2.home.instrument_lists import InstrumentLists
    from k2.service.validation import MessageValidator

    validators: dict[str, MessageValidator] = request.app.state.validators
    if exchange.name not in validators:
        lists = InstrumentLists(request.app.state.settings)
        validators[exchange.name] = MessageValidator(exchange, lists)
    return validators[exchange.name]


def _keep(folder: FilePath, body: bytes) -> FilePath:
    """Keep the messages in a file named after them, which the job reads."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"{hashlib.sha256(body).hexdigest()[:32]}.ndjson"
    if not file.exists():
        scratch = file.with_suffix(f".{id(body):x}.tmp")
        scratch.write_bytes(body)
        scratch.replace(file)
    return file
