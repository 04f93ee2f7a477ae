"""``k2 dlq``: list dead letters, show why they are, and replay them."""

import base64
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from k2.cli.app import group_of
from k2.cli.job_client import DETACH_HELP, run_as_job
from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES, Exchange, exchange_named
from k2.home.atomic_files import written_whole
from k2.home.paths import require_home
from k2.observability.logs import configure_logs
from k2.offline import schemas_of
from k2.settings import Settings
from k2.silver.dead_letters.report import (
    all_dead_letters,
    clusters,
    dead_letter_at,
    decoded,
    newest_dead_letters,
)

dlq = group_of("List, show, export and replay dead letters.")

_EXCHANGE = Annotated[str | None, typer.Option(help="Only this exchange's.")]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dlq.command("list")
def list_command(exchange: _EXCHANGE = None, as_json: _JSON = False) -> None:
    """List the dead letters by exchange, error, reasons and schema; the resolved ones apart."""
    settings = Settings.load()
    require_home(settings)
    found = clusters(settings.lake, _chosen(exchange))
    if as_json:
        print_json([asdict(cluster) for cluster in found])
        return
    headings = {
        "exchange": "left",
        "error": "left",
        "reasons": "left",
        "schema": "right",
        "count": "right",
        "first seen": "left",
        "last seen": "left",
        "sample": "left",
    }
    for resolved, title in ((False, "Open dead letters"), (True, "Resolved dead letters")):
        rows = [
            [
                *(c.exchange, c.error_type, ", ".join(c.error_reasons), c.schema_id, c.count),
                *(c.first_seen, c.last_seen, c.sample),
            ]
            for c in found
            if c.resolved is resolved
        ]
        if rows:
            print_table(title, headings, rows, drop=("first seen", "schema", "last seen"))
    if not found:
        typer.echo("There are no dead letters.")


@dlq.command("show")
def show_command(
    record: Annotated[str | None, typer.Argument(help="TOPIC-PARTITION@OFFSET.")] = None,
    exchange: _EXCHANGE = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 10,
    as_json: _JSON = False,
) -> None:
    """Show dead letters: one by its place in Kafka, or the newest of an exchange."""
    settings = Settings.load()
    if (record is None) == (exchange is None):
        raise ConfigError("Say which: TOPIC-PARTITION@OFFSET, or --exchange.")
    require_home(settings)
    if record is not None:
        letters = [_at(settings, record)]
    else:
        letters = newest_dead_letters(settings.lake, exchange_named(str(exchange)), limit)
    schemas = schemas_of(settings).known()
    shown = [
        _public(letter) | {"decoded": decoded(letter["raw_record"], schemas)} for letter in letters
    ]
    if as_json:
        print_json(shown)
        return
    for letter in shown:
        for name, value in letter.items():
            typer.echo(f"{name:>16}  {value}")
        typer.echo("")


@dlq.command("export")
def export_command(
    exchange: Annotated[str, typer.Option(help="Whose dead letters.")],
    to: Annotated[
        Path, typer.Option(help="A file to write: .jsonl (bytes in base64) or .parquet.")
    ],
) -> None:
    """Write all dead letters of an exchange, the resolved ones too, to a file: whole or not at all."""
    settings = Settings.load()
    require_home(settings)
    batches = all_dead_letters(settings.lake, exchange_named(exchange))
    if to.suffix not in (".jsonl", ".json", ".parquet"):
        raise ConfigError(f"{to.name}: .jsonl or .parquet is wanted.")
    write = _to_parquet if to.suffix == ".parquet" else _to_lines
    with written_whole(to) as draft:
        count = write(batches, draft)
    typer.echo(f"{count:,} dead letters in {to}.")


@dlq.command("replay")
def replay_command(
    exchange: _EXCHANGE = None,
    reason: Annotated[str | None, typer.Option(help="Only those with this reason.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help=DETACH_HELP)] = False,
    as_json: _JSON = False,
) -> None:
    """Validate open dead letters again with today's schemas and rules.

    What is a trade now enters Silver, or the duplicates where Silver has that trade, and is marked
    as resolved; the rest stays. Works beside running streams, and goes on after a crash.
    """
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    result = run_as_job(
        settings,
        "dlq-replay",
        {"exchange": exchange, "reason": reason, "fail_on_nothing": False},
        title="Validating dead letters again",
        detach=detach,
    )
    results = result["exchanges"]
    if as_json:
        print_json(results)
        return
    for result in results:
        typer.echo(
            f"{result['exchange']}: of {result['considered']:,} dead letters"
            f" {result['trades']:,} are trades and {result['duplicates']:,} are duplicates now;"
            f" {result['unresolved']:,} stay."
        )


def _chosen(exchange: str | None) -> tuple[Exchange, ...]:
    return EXCHANGES if exchange is None else (exchange_named(exchange),)


def _at(settings: Settings, record: str) -> dict[str, Any]:
    found = re.fullmatch(r"(.+)-(\d+)@(\d+)", record, re.ASCII)
    if not found:
        raise ConfigError(f"{record!r} is no record; write TOPIC-PARTITION@OFFSET.")
    for exchange in EXCHANGES:
        if exchange.topic == found[1]:
            place = (found[1], int(found[2]), int(found[3]))
            letter = dead_letter_at(settings.lake, exchange, *place)
            if letter is not None:
                return letter
            raise ConfigError(f"{record} is not a dead letter of {exchange.title}.")
    topics = ", ".join(exchange.topic for exchange in EXCHANGES)
    raise ConfigError(f"No exchange's topic is {found[1]!r}. Topics: {topics}.")


def _public(letter: dict[str, Any]) -> dict[str, Any]:
    value = letter["raw_record"]
    public = {name: field for name, field in letter.items() if name != "raw_record"}
    return public | {
        "bytes": None if value is None else len(value),
        "hex": None if value is None else bytes(value).hex(),
    }


def _to_lines(batches: Any, to: Path) -> int:
    count = 0
    with to.open("wb") as file:
        for batch in batches:
            for row in batch.to_pylist():
                value = row["raw_record"]
                row["raw_record"] = None if value is None else base64.b64encode(value).decode()
                file.write(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE))
                count += 1
    return count


def _to_parquet(batches: Any, to: Path) -> int:
    count, writer = 0, None
    for batch in batches:
        writer = writer or pq.ParquetWriter(to, batch.schema, compression="zstd")
        writer.write_batch(batch)
        count += batch.num_rows
    if writer is None:
        pq.write_table(pa.table({}), to)
    else:
        writer.close()
    return count
