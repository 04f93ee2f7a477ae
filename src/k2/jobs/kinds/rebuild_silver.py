"""``rebuild-silver``: would today's code make Silver what it is? Compares and changes nothing."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from k2.errors import ConfigError
from k2.exchanges import Exchange, exchange_named
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.kinds.parameters import ExchangeName
from k2.jobs.model import StepResult, StepStatus

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from k2.storage.table import Table


class RebuildSilverParams(JobParams):
    """Whose tables."""

    exchange: ExchangeName = Field(description="Whose tables.")


def run_rebuild_silver(run: JobRun, params: RebuildSilverParams) -> dict[str, Any]:
    """Decide all of Bronze again into a scratch folder, then compare table by table."""
    from k2.home.locks import exclusive
    from k2.silver.rebuild import scratch_settings

    exchange = exchange_named(params.exchange)
    scratch = scratch_settings(run.settings, exchange).home
    with exclusive(run.settings.run / "locks", [scratch.name], "a rebuild of Silver"):
        result = _rebuild(run, exchange)
        shutil.rmtree(scratch, ignore_errors=True)
    return result


def _rebuild(run: JobRun, exchange: Exchange) -> dict[str, Any]:
    from k2.quality.table_diff import compare
    from k2.silver.rebuild import scratch_settings, slices
    from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
    from k2.storage.delta import table_path

    scratch = scratch_settings(run.settings, exchange)
    ends_of = run.step("look at the tables", lambda: _look(run, exchange)).data
    versions, ends = ends_of["versions"], {int(p): end for p, end in ends_of["ends"].items()}
    run.expect(sum(end + 1 for end in ends.values()))
    run.step("decide Bronze again", lambda: _decide(run, exchange, versions, ends))
    found = []
    for table in (silver_trades(exchange), duplicates(exchange), dead_letters(exchange)):

        def compare_one(table: "Table" = table) -> StepResult:
            ledger = _at_version(run, resolutions(exchange), versions)
            difference = compare(
                table,
                _at_version(run, table, versions),
                _opened(table_path(scratch.lake, table)),
                ledger if table.name == dead_letters(exchange).name else None,
                ((part.partition, part.first, part.last) for part in slices(ends)),
            )
            status = StepStatus.OK if difference.is_equal else StepStatus.WARNED
            message = "" if difference.is_equal else f"{table.name} differs"
            data = asdict(difference) | {"is_equal": difference.is_equal}
            return StepResult(status=status, message=message, data=data)

        found.append(dict(run.step(f"compare {table.name}", compare_one).data))
    equal = all(table.pop("is_equal") for table in found)
    return {"equal": equal, "pending": ends_of["pending"], "tables": found}


def _look(run: JobRun, exchange: Exchange) -> StepResult:
    """All tables as they are between two batches; Bronze afterwards has at least their records."""
    from k2.bronze.table import bronze_trades
    from k2.engine.table_requests import VERSIONS
    from k2.jobs.kinds.on_owner import ask_owner
    from k2.offline import local_streams
    from k2.quality.table_diff import beyond, newest_offsets
    from k2.silver.tables import dead_letters, duplicates, silver_trades
    from k2.storage.delta import open_table
    from k2.storage.table import Layer
    from k2.topology import stream_named

    bronze = open_table(run.settings.lake, bronze_trades(exchange))
    if bronze is None:
        name = bronze_trades(exchange).name
        raise ConfigError(f"There is no table {name} in {run.settings.lake} yet.")
    stream = stream_named(local_streams(run.settings), f"{Layer.SILVER}-{exchange.name}")
    versions = ask_owner(run, VERSIONS, stream, {})
    bronze.update_incremental()
    live = [
        stored
        for table in (silver_trades(exchange), duplicates(exchange), dead_letters(exchange))
        if (stored := _at_version(run, table, versions)) is not None
    ]
    ends = newest_offsets(live)
    return StepResult(
        data={
            "versions": versions,
            "ends": {str(partition): end for partition, end in ends.items()},
            "pending": beyond(bronze, ends),
        }
    )


def _decide(
    run: JobRun, exchange: Exchange, versions: dict[str, int], ends: dict[int, int]
) -> StepResult:
    from k2.avro.schema_files import schema_text
    from k2.bronze.table import bronze_trades
    from k2.home.instrument_lists import InstrumentLists
    from k2.offline import schemas_of
    from k2.silver.known_schemas import KnownSchemas
    from k2.silver.rebuild import Rebuild, scratch_settings
    from k2.silver.tables import resolutions
    from k2.storage.delta import table_path

    scratch = scratch_settings(run.settings, exchange)
    shutil.rmtree(scratch.home, ignore_errors=True)  # half of it, from a run that was stopped
    bronze = _opened(table_path(run.settings.lake, bronze_trades(exchange)))
    rows = 0

    def count(decided: int) -> None:
        nonlocal rows
        rows += decided
        run.checkpoint()

    rebuild = Rebuild(
        exchange,
        scratch,
        KnownSchemas(schemas_of(run.settings), run.settings.lake, exchange),
        schema_text(exchange.reader_schema),
        InstrumentLists(run.settings),
    )
    rebuild.run(bronze, _at_version(run, resolutions(exchange), versions), ends, count)
    return StepResult(rows=rows)


def _at_version(run: JobRun, table: "Table", versions: dict[str, int]) -> "DeltaTable | None":
    from k2.storage.delta import table_path

    version = versions.get(table.name)
    if version is None:
        return None
    return _opened(table_path(run.settings.lake, table), version)


def _opened(path: Path, version: int | None = None) -> "DeltaTable":
    from deltalake import DeltaTable

    return DeltaTable(path, version=version)


REBUILD_SILVER = JobKind(
    "rebuild-silver",
    "Decide an exchange's Bronze again with today's code and compare with what is stored.",
    RebuildSilverParams,
    run_rebuild_silver,
)
