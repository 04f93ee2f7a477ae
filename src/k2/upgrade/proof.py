"""Prove, before new tables replace the old ones, that nothing is missing, and show what differs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.errors import ContractError
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.quality.balance import ABSENT_IN_BRONZE, ExchangeBalance, balance
from k2.quality.table_diff import TableDifference, compare, newest_offsets
from k2.settings import Settings
from k2.silver.rebuild import slices
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.delta import open_table, table_path
from k2.storage.table import Table
from k2.upgrade.plan import Workplace

_LOST = "in Silver, dead letters or duplicates, but not in Bronze"


@dataclass(frozen=True)
class Summary:
    """How the new tables differ from the old ones, and the account of the new ones."""

    differences: list[TableDifference]
    balances: list[ExchangeBalance]


def refuse_lost_bronze(settings: Settings, exchanges: Sequence[Exchange]) -> None:
    """Raise when the live tables hold records that Bronze has no more: they would be gone.

    Raises:
        ContractError: names the first of them.
    """
    for account in balance(settings, exchanges):
        for difference in account.differences:
            if difference.what == _LOST:
                raise ContractError(
                    f"{account.exchange}: {difference.count:,} records are {_LOST}, such as "
                    f"{difference.records[0]}. An upgrade makes all tables from Bronze and would lose"
                    " them; nothing was changed."
                )


def prove(workplace: Workplace, exchanges: Sequence[Exchange]) -> Summary:
    """Account for every record of the new tables, and compare them with the old ones.

    Raises:
        ContractError: the account does not come out; the old tables stay.
    """
    build, live = workplace.build.lake, workplace.settings.lake
    with _bronze_beside(build, live, exchanges):
        balances = balance(workplace.build, exchanges)
    odd = [
        f"{account.exchange}: {found.count:,} {found.what}"
        for account in balances
        for found in account.differences
        # Bronze stays as it is: `k2 balance` compares it with Kafka.
        if found.what != ABSENT_IN_BRONZE
    ]
    if odd:
        raise ContractError(
            f"The new tables do not account for every record ({'; '.join(odd)}). Nothing was changed."
        )
    return Summary(_differences(build, live, exchanges), balances)


def _differences(build: Path, live: Path, exchanges: Sequence[Exchange]) -> list[TableDifference]:
    found = []
    newest: dict[int, int] = {}
    for exchange in exchanges:
        bronze = open_table(live, bronze_trades(exchange))
        if bronze is None:
            continue
        ends = newest_offsets([bronze])
        newest = {p: max(newest.get(p, -1), ends.get(p, -1)) for p in newest.keys() | ends.keys()}
        for table in (silver_trades(exchange), dead_letters(exchange), duplicates(exchange)):
            history = None
            if table.name == dead_letters(exchange).name:
                history = open_table(live, resolutions(exchange))
            found.append(_difference(table, build, live, history, ends))
    found.append(_difference(GOLD_TRADES, build, live, None, newest))
    return found


def _difference(
    table: Table, build: Path, live: Path, history: DeltaTable | None, ends: Mapping[int, int]
) -> TableDifference:
    rebuilt = DeltaTable(table_path(build, table))
    by = ((part.partition, part.first, part.last) for part in slices(ends))
    return compare(table, open_table(live, table), rebuilt, history, by)


@contextmanager
def _bronze_beside(build: Path, live: Path, exchanges: Sequence[Exchange]) -> Iterator[None]:
    """Let the account find Bronze, which stays where it is, among the new tables."""
    links = [
        (table_path(build, table), table_path(live, table))
        for table in map(bronze_trades, exchanges)
        if table_path(live, table).exists()
    ]
    try:
        for link, target in links:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        yield
    finally:
        for link, _ in links:
            link.unlink(missing_ok=True)
