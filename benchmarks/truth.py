"""The correctness gate: Gold and the dead letters against the simulator's manifest.

It knows no contender's code: it reads Gold's columns and the manifest's lines.
"""

from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

_WANTED = """
create table wanted as
select exchange, symbol, trade_id::varchar as trade_id, time_us::bigint as time_us,
    price::decimal(18, 8) as price, quantity::decimal(18, 8) as quantity, side
from records where kind in ('trade', 'late')
"""
_FOUND = """
create table found as
select gold.exchange, vendor_data->>'$.exchange_symbol' as symbol,
    case when unnumbered.symbol is null then trade_id end as trade_id,
    epoch_us(timestamp) as time_us, price, quantity, side
from gold left join unnumbered
    on unnumbered.exchange = gold.exchange and unnumbered.symbol = vendor_data->>'$.exchange_symbol'
"""
_COLUMNS = {
    **dict.fromkeys(("kind", "exchange", "symbol", "price", "quantity", "side"), "varchar"),
    **dict.fromkeys(("trade_id", "time_us"), "bigint"),
}
_GOLD = ["exchange", "trade_id", "timestamp", "price", "quantity", "side", "vendor_data"]


class WrongResult(Exception):
    """A contender lost, doubled or changed something: the run has no figures."""


def require_truth(lake: Path, manifest: Path, gold: bool = True) -> int:
    """Return the number of trades that the lake rightly has; ``gold=False`` looks at Silver.

    Raises:
        WrongResult: trades or the number of dead letters differ from the manifest.
    """
    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    database.execute("set threads = 2")
    records = f"read_json('{manifest}', format='newline_delimited', columns={_COLUMNS})"
    database.execute(f"create view records as select * from {records}")
    database.execute(_WANTED)
    database.execute("create view unnumbered as select distinct exchange, symbol from wanted "
                     "where trade_id is null")  # fmt: skip
    names = ["gold_trades"] if gold else [f"silver_{name}_trades" for name in ("binance", "kraken")]
    for number, name in enumerate(names):
        database.register(f"part{number}", _dataset(lake / name).scanner(columns=_GOLD).to_reader())
        database.execute(f"create table stored{number} as select * from part{number}")
    union = " union all ".join(f"select * from stored{number}" for number in range(len(names)))
    database.execute(f"create view gold as {union}")
    database.execute(_FOUND)
    _refuse_difference(database)
    _refuse_dead_letters(database, lake)
    return _one(database, "select count(*) from found")


def _refuse_difference(database: duckdb.DuckDBPyConnection) -> None:
    for what, here, there in (("missing", "wanted", "found"), ("extra", "found", "wanted")):
        query = f"(select * from {here} except all select * from {there})"
        if count := _one(database, f"select count(*) from {query}"):
            example = database.execute(f"select * from {query} limit 1").fetchone()
            raise WrongResult(f"{count} trades {what}, such as {example}")


def _refuse_dead_letters(database: duckdb.DuckDBPyConnection, lake: Path) -> None:
    for name in ("binance", "kraken"):
        wanted = _one(
            database, f"select count(*) from records where kind = 'bad' and exchange = '{name}'"
        )
        path = lake / f"dlq_{name}_trades"
        stored = DeltaTable(path).count() if DeltaTable.is_deltatable(str(path)) else 0
        if stored != wanted:
            raise WrongResult(f"{stored} dead letters of {name}, wanted {wanted}")


def _dataset(path: Path) -> Any:
    return DeltaTable(path).to_pyarrow_dataset()


def _one(database: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(database.execute(query).fetchall()[0][0])
