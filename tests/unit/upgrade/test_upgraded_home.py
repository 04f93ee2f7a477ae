"""What an upgraded home holds is what a fresh load of its Bronze gives, and a new list changes no row."""

import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from k2.avro.schema_files import schema_text
from k2.bars.aggregate import BAR, MADE_OF, to_minute_bars
from k2.bars.table import GOLD_OHLCV
from k2.bronze.table import bronze_trades
from k2.cli import app
from k2.cli.commands.upgrade import upgrade_command
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES
from k2.exchanges.binance import BINANCE
from k2.exchanges.instruments import Fact
from k2.gold.processor import GoldProcessor
from k2.gold.table import GOLD_TRADES
from k2.home.instrument_lists import InstrumentLists
from k2.offline import schemas_of
from k2.settings import Settings
from k2.silver.processor import SilverProcessor
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.silver.transform import NEEDED
from k2.storage.delta import ensure_table
from k2.storage.scan import scan_table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId

pytestmark = pytest.mark.unit

BATCH = 333  # no batch of the home's own was as large
OF_AN_UNKNOWN_SCHEMA = [("error_type", "=", "schema")]
LOADED = [(e, t(e)) for e in EXCHANGES for t in (silver_trades, duplicates, dead_letters)]


@pytest.fixture
def upgraded(old_home):
    upgrade_command(dry_run=False, keep_old=False, as_json=True)
    return old_home


def rows(lake, table) -> Counter[str]:
    """Every row, whole, in no order."""
    return Counter(map(str, scan_table(lake, table).table().to_pylist()))


class SchemasOf:
    """The schemas that the home's registry told; there is none to ask of others."""

    def __init__(self, home: Settings) -> None:
        self._cached = schemas_of(home)

    def schema_by_id(self, schema_id: int) -> str | None:
        try:
            return self._cached.schema_by_id(schema_id)
        except UnavailableError:
            return None


def load_afresh(home: Settings, fresh: Settings) -> None:
    """Take all of the home's Bronze through Silver to Gold, as if it came for the first time."""
    writer, schemas = ArrowWriter(fresh.lake), SchemasOf(home)
    for table in (*(table for _, table in LOADED), GOLD_TRADES):
        ensure_table(fresh.lake, table)
    gold, number = GoldProcessor(fresh.lateness_minutes), 0
    for exchange in EXCHANGES:
        reader = schema_text(exchange.reader_schema)
        silver = SilverProcessor(exchange, fresh, schemas, reader)
        bronze = scan_table(home.lake, bronze_trades(exchange), NEEDED).table()
        bronze = bronze.sort_by([("partition", "ascending"), ("offset", "ascending")])
        for first in range(0, bronze.num_rows, BATCH):
            batch = writer.hold(bronze.slice(first, BATCH))
            number += 1
            done = silver.process(batch, TxnId(f"silver-{exchange.name}/v1", number))
            assert done.output is not None
            kept = [name for name in done.output.rows.column_names if name in GOLD_TRADES.columns]
            gold.process(done.output.select(*kept), TxnId("gold/v1", number))
        silver.close()


def test_an_upgraded_home_is_row_for_row_what_a_fresh_load_gives(upgraded, tmp_path):
    fresh = Settings(home=tmp_path / "fresh")

    load_afresh(upgraded, fresh)

    for _, table in LOADED:
        assert rows(upgraded.lake, table) == rows(fresh.lake, table), table.name
    assert rows(upgraded.lake, GOLD_TRADES) == rows(fresh.lake, GOLD_TRADES)
    assert sum(rows(fresh.lake, GOLD_TRADES).values()) > 2_000
    minutes = to_minute_bars(scan_table(fresh.lake, GOLD_TRADES, MADE_OF).table())
    names = [name for name in BAR.names if name in GOLD_OHLCV.columns]
    stored = scan_table(upgraded.lake, GOLD_OHLCV, names, [("timeframe", "=", "1m")]).table()
    assert texts(stored) == texts(minutes.select(names).filter(minutes["open"].is_valid()))


def texts(bars: pa.Table) -> Counter[str]:
    return Counter(map(str, bars.to_pylist()))


def rebuilt(capsys, exchange: str = "kraken") -> tuple[int, dict[str, Any]]:
    """What `k2 rebuild silver --dry-run` says, and its exit code."""
    capsys.readouterr()
    arguments = ["rebuild", "silver", "--exchange", exchange, "--dry-run", "--json"]
    code = app.run(app._app, arguments, "k2")
    return code, json.loads(capsys.readouterr().out)


def test_a_changed_list_shows_in_a_dry_run_and_changes_no_stored_row(upgraded, capsys):
    kraken = [table for exchange, table in LOADED if exchange.name == "kraken"]
    assert rebuilt(capsys)[0] == 0
    before = {table.name: rows(upgraded.lake, table) for table in [*kraken, GOLD_TRADES]}
    renamed = Fact("spot", "ADA/USD", "STR", "USD", "spot")
    InstrumentLists(upgraded).load("kraken", [renamed], "")

    code, said = rebuilt(capsys)

    silver, *others = said["tables"]
    assert (code, said["equal"]) == (1, False)
    assert silver["changed"] == {"symbol": 14}
    assert [(table["added"], table["removed"]) for table in (silver, *others)] == [(0, 0)] * 3
    assert {table.name: rows(upgraded.lake, table) for table in [*kraken, GOLD_TRADES]} == before


def test_a_dry_run_without_a_registry_takes_as_unknown_what_was_unknown(upgraded, capsys):
    unknown = scan_table(upgraded.lake, dead_letters(BINANCE), where=OF_AN_UNKNOWN_SCHEMA).table()

    code, said = rebuilt(capsys, "binance")

    assert unknown.num_rows
    assert (code, said["equal"]) == (0, True)
