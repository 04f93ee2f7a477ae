"""The proof that nothing is missing: every record counted through every table, by its offset.

Kafka to Bronze, Bronze to exactly one of Silver, dead letters and duplicates, Silver to Gold. A dead
letter that a replay resolved is no longer one here, and must be what the ledger says. Read from the
tables as they are stored, with DuckDB, by code that the streams do not use.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.sql import utc_database
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import Scan, scan_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Watermarks = Mapping[int, tuple[int, int]]  # partition → first offset there is, next offset to come

_NAMED = 20  # offsets that a difference names; its count is always whole
_COORDINATES = ("topic", "partition", "offset")
_RECORD = 'topic, "partition", "offset"'
_PLACES = {"trade": "silver", "duplicate": "duplicates"}  # where a resolved dead letter must be
_OPEN = (
    "create or replace temp table open_letters as"
    f" select * from dead_letters anti join resolved using ({_RECORD})"
)


@dataclass(frozen=True)
class Difference:
    """Records that break a balance: how many, and the first of them as ``topic-partition@offset``."""

    what: str
    count: int
    records: list[str]


@dataclass
class ExchangeBalance:
    """One exchange's account. ``kafka`` is None when no broker was asked.

    ``dead_letters`` are the open ones; ``resolved`` were some, and count where they are now.
    """

    exchange: str
    kafka: int | None = None
    bronze: int = 0
    silver: int = 0
    dead_letters: int = 0
    duplicates: int = 0
    gold: int = 0
    resolved: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Tell whether every record is where it must be, once."""
        return not self.differences

    def public(self) -> dict[str, Any]:
        """Return the account for programs."""
        return {**asdict(self), "balanced": self.balanced}


@named_read_errors()
def balance(
    lake: Path, exchanges: Iterable[Exchange], kafka: Mapping[str, Watermarks] | None = None
) -> list[ExchangeBalance]:
    """Account for every record of every exchange.

    Args:
        lake: folder of the tables; one that does not exist counts as empty.
        exchanges: which to look at.
        kafka: watermarks by topic, to compare Bronze with; None compares from Bronze on, and then
            Bronze must hold every offset from the first to the last that it has.
    """
    database = utc_database()
    gold = scan_table(lake, GOLD_TRADES, [*_COORDINATES, "exchange"])
    return [_account(database, lake, exchange, gold, kafka) for exchange in exchanges]


def _account(
    database: "DuckDBPyConnection",
    lake: Path,
    exchange: Exchange,
    gold: Scan,
    kafka: Mapping[str, Watermarks] | None,
) -> ExchangeBalance:
    tables = {
        "silver": silver_trades(exchange),
        "dead_letters": dead_letters(exchange),
        "duplicates": duplicates(exchange),
        "bronze": bronze_trades(exchange),
        "resolved": resolutions(exchange),
    }
    gold.create_view(database, "all_gold")
    copy = f"create or replace temp table {{}} as select {_RECORD} from {{}}"
    database.execute(copy.format("gold", "all_gold where exchange = ?"), [exchange.name]).fetchall()
    for name, table in tables.items():
        scan_table(lake, table, _COORDINATES).create_view(database, "stored")
        database.execute(copy.format(name, "stored")).fetchall()
    for outcome, place in _PLACES.items():
        resolved = scan_table(lake, resolutions(exchange), [*_COORDINATES, "outcome"])
        resolved.create_view(database, "stored")
        as_such = copy.format(f"resolved_{place}", "stored where outcome = ?")
        database.execute(as_such, [outcome]).fetchall()
    database.execute(_OPEN).fetchall()
    account = ExchangeBalance(exchange.name)
    for name in (*tables, "gold"):
        setattr(account, name, _one(database, f"select count(*) from {name}"))
    account.dead_letters = _one(database, "select count(*) from open_letters")
    judged = " union all ".join(
        f"select {_RECORD} from {name}" for name in ("silver", "open_letters", "duplicates")
    )
    checks = {
        "in Bronze more than once": _repeated("select * from bronze"),
        "in Bronze, but in none of Silver, dead letters and duplicates": _missing(
            "select * from bronze", judged
        ),
        "in Silver, dead letters or duplicates more than once": _repeated(judged),
        "in Silver, dead letters or duplicates, but not in Bronze": _missing(
            judged, "select * from bronze"
        ),
        "resolved more than once": _repeated("select * from resolved"),
        "resolved, but never a dead letter": _missing(
            "select * from resolved", "select * from dead_letters"
        ),
        "resolved as a trade, but not in Silver": _missing(
            "select * from resolved_silver", "select * from silver"
        ),
        "resolved as a duplicate, but not among the duplicates": _missing(
            "select * from resolved_duplicates", "select * from duplicates"
        ),
        "in Silver, but not in Gold": _missing("select * from silver", "select * from gold"),
        "in Gold more than once": _repeated("select * from gold"),
        "in Gold, but not in Silver": _missing("select * from gold", "select * from silver"),
        **_against_kafka(account, exchange, kafka),
    }
    for what, query in checks.items():
        count = _one(database, f"select count(*) from ({query})")
        if count:
            named = f"select * from ({query}) order by all limit {_NAMED}"
            records = [f"{t}-{p}@{o}" for t, p, o in database.execute(named).fetchall()]
            account.differences.append(Difference(what, count, records))
    return account


def _against_kafka(
    account: ExchangeBalance, exchange: Exchange, kafka: Mapping[str, Watermarks] | None
) -> dict[str, str]:
    """Every offset below the broker's next one must be in Bronze, whatever retention has removed."""
    if kafka is None:
        ends = 'select topic, "partition", max("offset") + 1 as next from bronze group by all'
        return {"between Bronze's offsets, but not in Bronze": _below(ends)}
    marks = kafka.get(exchange.topic, {})
    account.kafka = sum(after for _, after in marks.values())
    if not marks:
        return {"in Bronze, but not in Kafka (a topic made anew?)": "select * from bronze"}
    rows = ", ".join(f"('{exchange.topic}', {p}, {after})" for p, (_, after) in marks.items())
    ends = f'select * from (values {rows}) as marks(topic, "partition", next)'
    beyond = (
        f'select {_RECORD} from bronze left join ({ends}) using (topic, "partition")'
        ' where "offset" >= coalesce(next, 0)'
    )
    return {
        "in Kafka, but not in Bronze": _below(ends),
        "in Bronze, but not in Kafka (a topic made anew?)": beyond,
    }


def _below(ends: str) -> str:
    wanted = f'select topic, "partition", unnest(range(next::bigint)) as "offset" from ({ends})'
    return _missing(wanted, "select * from bronze")


def _repeated(records: str) -> str:
    return f"select {_RECORD} from ({records}) group by all having count(*) > 1"


def _missing(records: str, elsewhere: str) -> str:
    return f"select distinct {_RECORD} from ({records}) anti join ({elsewhere}) using ({_RECORD})"


def _one(database: "DuckDBPyConnection", query: str) -> int:
    return int(database.execute(query).fetchall()[0][0])
