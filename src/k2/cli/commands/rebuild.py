"""``k2 rebuild``: would today's code make the tables what they are?"""

import shutil
from dataclasses import asdict
from typing import Annotated

import typer
from deltalake import DeltaTable
from rich.console import Console

from k2.avro.schema_files import schema_text
from k2.bronze.table import bronze_trades
from k2.cli.app import group_of
from k2.cli.offline import local_streams, schemas_of
from k2.cli.render.printing import print_json, print_table
from k2.engine.table_owner import execute_on_owner
from k2.engine.table_requests import VERSIONS, Request
from k2.errors import ConfigError
from k2.exchanges import Exchange, exchange_named
from k2.home.instrument_lists import InstrumentLists
from k2.home.locks import exclusive
from k2.observability.logs import configure_logs
from k2.quality.table_diff import TableDifference, beyond, compare, newest_offsets
from k2.settings import Settings
from k2.silver.rebuild import Rebuild, scratch_settings, slices
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.delta import open_table, table_path
from k2.storage.table import Layer, Table
from k2.topology import stream_named

rebuild = group_of("Decode Bronze anew and compare with what is stored.")


@rebuild.callback()
def _group() -> None:
    """Keep ``silver`` a command of the group."""


@rebuild.command("silver")
def silver(
    exchange: Annotated[str, typer.Option(help="Whose tables.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare only (the one way so far).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide all of Bronze with today's code and instruments; print how Silver would differ.

    Compares Silver, duplicates and open dead letters field by field, up to the newest record that
    the stream had decided when this began. Exits with 1 when anything differs. Changes nothing.
    """
    if not dry_run:
        raise ConfigError("Silver is append-only and is not replaced in place: give --dry-run.")
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    chosen = exchange_named(exchange)
    scratch = scratch_settings(settings, chosen)
    with exclusive(settings.run / "locks", [scratch.home.name], "k2 rebuild"):
        shutil.rmtree(scratch.home, ignore_errors=True)
        try:
            found, pending = _compared(settings, scratch, chosen)
        finally:
            shutil.rmtree(scratch.home, ignore_errors=True)
    equal = all(difference.is_equal for difference in found)
    if as_json:
        tables = [asdict(difference) for difference in found]
        print_json({"equal": equal, "pending": pending, "tables": tables})
    else:
        _print(found, pending)
    if not equal:
        raise typer.Exit(1)


def _compared(
    settings: Settings, scratch: Settings, exchange: Exchange
) -> tuple[list[TableDifference], int]:
    bronze = open_table(settings.lake, bronze_trades(exchange))
    if bronze is None:
        raise ConfigError(
            f"There is no table {bronze_trades(exchange).name} in {settings.lake} yet."
        )
    stream = stream_named(local_streams(settings), f"{Layer.SILVER}-{exchange.name}")
    # All tables as they were between two batches; Bronze afterwards has at least their records.
    versions = execute_on_owner(Request(VERSIONS, stream.name), stream, settings)
    bronze.update_incremental()

    def at_version(table: Table) -> DeltaTable | None:
        version = versions.get(table.name)
        if version is None:
            return None
        return DeltaTable(table_path(settings.lake, table), version=version)

    live = {
        table.name: (table, at_version(table))
        for table in (silver_trades(exchange), duplicates(exchange), dead_letters(exchange))
    }
    ledger = at_version(resolutions(exchange))
    ends = newest_offsets(stored for _, stored in live.values() if stored is not None)
    pending = beyond(bronze, ends)
    with Console(stderr=True).status("Deciding Bronze again …") as spinner:
        done = 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            spinner.update(f"Deciding Bronze again: {done:,} records")

        reader = schema_text(exchange.reader_schema)
        lists = InstrumentLists(settings)
        rebuilding = Rebuild(exchange, scratch, schemas_of(settings), reader, lists)
        rebuilding.run(bronze, ledger, ends, count)
        spinner.update("Comparing …")
        found = []
        for table, stored in live.values():
            rebuilt = DeltaTable(table_path(scratch.lake, table))
            history = ledger if table.name == dead_letters(exchange).name else None
            parts = ((part.partition, part.first, part.last) for part in slices(ends))
            found.append(compare(table, stored, rebuilt, history, parts))
    return found, pending


def _print(found: list[TableDifference], pending: int) -> None:
    headings = {"table": "left"} | dict.fromkeys(
        ("live", "rebuilt", "added", "removed", "changed"), "right"
    )
    rows = [
        [f.table, f.live, f.rebuilt, f.added, f.removed, max(f.changed.values(), default=0)]
        for f in found
    ]
    print_table("Today's code beside what is stored", headings, rows)
    for difference in found:
        for name, count in difference.changed.items():
            typer.echo(f"{difference.table}: {name} differs in {count:,} records")
        for what, samples in difference.samples.items():
            for sample in samples:
                typer.echo(f"{difference.table}: {what}: {sample}")
    if pending:
        typer.echo(f"{pending:,} records of Bronze are not decided yet and were left out.")
