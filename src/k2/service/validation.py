"""One message validated as Silver would. Messages that come together are validated together: a verdict
takes 9 ms, whether of one message or of twenty.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from k2.avro.encoding import Encoder, encoder
from k2.avro.schema_files import schema_text
from k2.exchanges import Exchange
from k2.exchanges.instruments import Instruments, shipped_instruments
from k2.exchanges.parsers import parser_of
from k2.exchanges.parsing import RawRecord
from k2.home.instrument_lists import InstrumentLists
from k2.jobs.clock import now_ms
from k2.silver.rules.apply_rules import TRADE
from k2.silver.transform import to_silver
from k2.silver.validation import OWN_SCHEMA_ID, bronze_rows

MAX_TOGETHER = 200
_SHOWN = (
    *("message_id", "trade_id", "symbol", "exchange", "timestamp", "price", "quantity"),
    *("currency", "side", "source_sequence", "vendor_data"),
)


@dataclass
class Verdict:
    """What a message is: trades, dead letters with their reasons, another message, or none."""

    verdict: str  # trade, dead_letter, other, rejected
    trades: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    reason: str = ""


def validate_each(
    exchange: Exchange, messages: Sequence[bytes], instruments: Instruments | None = None
) -> list[Verdict]:
    """Validate messages, each by itself; nothing is stored and nobody is asked.

    ``instruments`` say what the markets' names mean; without them the list that K2 ships.
    """
    known = instruments or shipped_instruments(exchange.name)
    parse, received_us = parser_of(exchange.name), now_ms() * 1000
    found: list[Verdict] = []
    records: list[RawRecord] = []
    owners: list[int] = []
    for number, message in enumerate(messages):
        parsed = parse(message, received_us)
        if parsed.rejected is not None:
            found.append(Verdict("rejected", [], [], parsed.rejected))
            continue
        found.append(Verdict("other" if not parsed.trades else "trade", [], []))
        records += parsed.trades
        owners += [number] * len(parsed.trades)
    for owner, row in zip(owners, _decide(exchange, records, known), strict=True):
        verdict = found[owner]
        if row["outcome"] == TRADE:
            verdict.trades.append({name: row[name] for name in _SHOWN})
        else:
            verdict.verdict = "dead_letter"
            verdict.dead_letters.append(
                {"error_type": row["error_type"], "error_reasons": row["error_reasons"]}
            )
    return found


def _decide(
    exchange: Exchange, records: Sequence[RawRecord], instruments: Instruments
) -> list[dict[str, Any]]:
    if not records:
        return []
    reader = schema_text(exchange.reader_schema)
    bronze = bronze_rows(exchange, records, _encoder_of(reader))
    decided = to_silver(bronze, exchange, {OWN_SCHEMA_ID: reader}, reader, instruments)
    rows: list[dict[str, Any]] = decided.sort_by("offset").to_pylist()
    return rows


_encoders: dict[str, Encoder] = {}


def _encoder_of(reader: str) -> Encoder:
    if reader not in _encoders:
        _encoders[reader] = encoder(reader, OWN_SCHEMA_ID)
    return _encoders[reader]


class MessageValidator:
    """Validates an exchange's messages as they come; while some are validated the next ones gather."""

    def __init__(self, exchange: Exchange, lists: InstrumentLists) -> None:
        self._exchange, self._lists = exchange, lists
        self._waiting: list[tuple[bytes, asyncio.Future[Verdict]]] = []
        self._working: asyncio.Task[None] | None = None

    async def validate(self, message: bytes) -> Verdict:
        """Validate one message."""
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
            messages = [message for message, _ in batch]
            try:
                found = await asyncio.to_thread(
                    validate_each,
                    self._exchange,
                    messages,
                    self._lists.current(self._exchange.name),
                )
            except Exception as error:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), verdict in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(verdict)
