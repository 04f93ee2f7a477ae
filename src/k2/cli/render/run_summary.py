"""What a run leaves: counts, the balance, the newest trades, and how to read them."""

from rich.console import Console

from k2.cli.commands.balance import print_balance
from k2.cli.commands.show import newest
from k2.cli.render.printing import print_table, text_of
from k2.exchanges import EXCHANGES
from k2.gold.table import GOLD_TRADES
from k2.quality.balance import Broker, balance
from k2.settings import Settings
from k2.storage.delta import open_table, row_count
from k2.storage.stored_tables import StoredTables
from k2.topology import all_tables

_TRADE = ("timestamp", "exchange", "symbol", "side", "price", "quantity")
_QUERY = (
    'print(lake.sql("select symbol, count(*), sum(quantity) from gold group by all").to_duckdb())'
)


def print_summary(settings: Settings, kafka: Broker) -> bool:
    """Print it; tell whether everything balances."""
    console = Console(highlight=False)
    counts = [
        [table.name, row_count(stored)]
        for table in all_tables()
        if (stored := open_table(settings.lake, table)) is not None
    ]
    print_table("Rows", {"table": "left", "rows": "right"}, counts)
    accounts = balance(settings, EXCHANGES, kafka)
    print_balance(accounts)
    tables = StoredTables(settings.lake)
    if GOLD_TRADES.name in tables.names():
        rows = [
            [text_of(row[name]) for name in _TRADE] for row in newest(tables, GOLD_TRADES.name, 5)
        ]
        print_table("Newest Gold trades", dict.fromkeys(_TRADE, "left"), rows)
    console.print(
        f"The tables are plain Delta folders in {settings.lake}. Read Gold without Spark:\n\n"
        f'  import k2; lake = k2.Lake("{settings.home}")\n  {_QUERY}\n',
        markup=False,
        soft_wrap=True,
    )
    return all(account.balanced for account in accounts)
