"""``k2 exchange``: does a definition make trades of an exchange's messages?"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.cli.app import group_of
from k2.cli.render.printing import print_json, print_table
from k2.exchanges import Exchange, exchange_named
from k2.exchanges.parsers import parser_of
from k2.exchanges.parsing import RawRecord
from k2.feeds.recorded_exchange import require_exchange
from k2.feeds.recordings import Recording
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.rules.screen import TRADE
from k2.silver.transform import to_silver

_SCHEMA_ID = 1  # nobody else's: the bytes stay here
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BRIEF = ("timestamp", "symbol", "side", "price", "quantity", "trade_id")
_BRONZE = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("schema_id", pa.int32()),
        ("kafka_timestamp", pa.timestamp("us", "UTC")),
        ("value", pa.binary()),
    ]
)

exchange = group_of("Check the definitions of exchanges.")


@exchange.callback()
def _group() -> None:
    """Check the definitions of exchanges."""


@dataclass
class Verdict:
    """What became of the sample messages; ``shown`` are the first trades."""

    messages: int = 0
    other: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    trades: int = 0
    repeated: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    shown: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Tell whether there are trades and none became a dead letter."""
        return self.trades > 0 and not self.dead_letters


@exchange.command("validate")
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Sample messages, one a line.", show_default=False)
    ],
    name: Annotated[str, typer.Option("--exchange", help="Whose messages they are.")],
    limit: Annotated[int, typer.Option(min=0, max=1_000, help="How many trades to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run sample messages through an exchange's parser, schema, mapping and rules.

    Needs no Kafka. Exits with 1 when a trade became a dead letter, or there was none.
    """
    definition = exchange_named(name)
    for file in files:
        require_exchange(file, definition)
    verdict, records = read_samples([Recording(path) for path in files], definition)
    if records:
        judge(definition, records, verdict, limit)
    _print(definition, verdict, as_json)
    if not verdict.holds:
        raise typer.Exit(1)


def read_samples(
    files: Iterable[Recording], definition: Exchange
) -> tuple[Verdict, list[RawRecord]]:
    """Parse the messages; return the counts so far, and the raw records."""
    parse = parser_of(definition.name)
    verdict = Verdict()
    records: list[RawRecord] = []
    for file in files:
        for line in file:
            verdict.messages += 1
            parsed = parse(line.message, line.received_us or _now_us()) if line.message else None
            if parsed is None or parsed.kind == "other":
                verdict.other += 1
            elif parsed.rejected is not None:
                verdict.rejected[parsed.rejected] += 1
            else:
                records += parsed.trades
    return verdict, records


def judge(definition: Exchange, records: Sequence[RawRecord], verdict: Verdict, limit: int) -> None:
    """Encode the records, let Silver decide on them, and count what it said."""
    reader = schema_text(definition.reader_schema)
    encode = encoder(reader, _SCHEMA_ID)
    # Silver compares with the broker's clock; a recorded message reaches it as it is received.
    rows = [
        {
            "topic": definition.topic,
            "partition": 0,
            "offset": offset,
            "schema_id": _SCHEMA_ID,
            "kafka_timestamp": _EPOCH + timedelta(microseconds=_now_us()),
            "value": encode(record),
        }
        for offset, record in enumerate(records)
    ]
    bronze = pa.Table.from_pylist(rows, schema=_BRONZE)
    seen: set[str] = set()
    instruments = InstrumentLists(Settings.load()).current(definition.name)
    judged = to_silver(bronze, definition, {_SCHEMA_ID: reader}, reader, instruments)
    for row in judged.to_pylist():
        if row["outcome"] != TRADE:
            verdict.dead_letters[", ".join(row["error_reasons"])] += 1
            continue
        verdict.trades += 1
        verdict.repeated += row["message_id"] in seen
        seen.add(row["message_id"])
        if len(verdict.shown) < limit:
            verdict.shown.append(row)


def _print(definition: Exchange, verdict: Verdict, as_json: bool) -> None:
    counts = {
        "messages": verdict.messages,
        "other messages": verdict.other,
        "rejected": sum(verdict.rejected.values()),
        "trades": verdict.trades,
        "repeated trades": verdict.repeated,
        "dead letters": sum(verdict.dead_letters.values()),
    }
    if as_json:
        reasons = {"rejected": dict(verdict.rejected), "dead_letters": dict(verdict.dead_letters)}
        fields = ("message_id", *_BRIEF, "currency", "source_sequence", "vendor_data")
        shown = [{name: row[name] for name in fields} for row in verdict.shown]
        public = {name.replace(" ", "_"): count for name, count in counts.items()}
        print_json({"holds": verdict.holds, **public, "reasons": reasons, "first_trades": shown})
        return
    print_table(
        f"{definition.title}: sample messages",
        dict.fromkeys(counts, "right"),
        [list(counts.values())],
    )
    for what, reasons_of in (("rejected", verdict.rejected), ("dead letter", verdict.dead_letters)):
        for reason, count in reasons_of.most_common():
            typer.echo(f"{what}: {count:,} × {reason}")
    if verdict.shown:
        rows = [[row[name] for name in _BRIEF] for row in verdict.shown]
        print_table("First trades", dict.fromkeys(_BRIEF, "left"), rows)


def _now_us() -> int:
    return (datetime.now(UTC) - _EPOCH) // timedelta(microseconds=1)
