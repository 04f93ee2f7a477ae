"""``k2 balance``: the proof that nothing is missing."""

from typing import Annotated

import typer

from k2.cli.render.printing import print_json, print_table
from k2.connectors.committed_reader import CommittedReader
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES
from k2.home.endpoints import find_endpoints
from k2.home.paths import require_home
from k2.quality.balance import ExchangeBalance, balance
from k2.settings import Settings


def balance_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Do not ask Kafka; prove from Bronze on.")
    ] = False,
) -> None:
    """Prove that no record is missing or doubled, from Kafka to Gold.

    Exits with 1, naming the offsets, when it does not hold. It may run beside the streams: what is
    on its way to the next table is counted as in flight and is no difference.
    """
    settings = Settings.load()
    require_home(settings)
    accounts = balance(settings, EXCHANGES, None if tables_only else _reader(settings))
    holds = all(account.balanced for account in accounts)
    if as_json:
        public = [account.public() for account in accounts]
        print_json(
            {"balanced": holds, "kafka_asked": accounts[0].kafka is not None, "exchanges": public}
        )
    else:
        print_balance(accounts)
    if not holds:
        raise typer.Exit(1)


def print_balance(accounts: list[ExchangeBalance]) -> None:
    """Print the accounts, and every difference with its records."""
    names = ("kafka", "bronze", "silver", "dead letters", "duplicates", "gold", "in flight")
    headings = {"exchange": "left", **dict.fromkeys(names, "right"), "balanced": "left"}
    rows = [
        [
            *(a.exchange, a.kafka, a.bronze, a.silver, a.dead_letters, a.duplicates, a.gold),
            *(sum(a.in_flight.values()), a.balanced),
        ]
        for a in accounts
    ]
    print_table(
        "Balance: kafka = bronze = silver + dead letters + duplicates; silver = gold",
        headings,
        rows,
    )
    for account in accounts:
        if account.unproven:
            typer.echo(
                f"{account.exchange}: {account.unproven:,} offsets have no record in Bronze, and Kafka"
                " has deleted them since: whether they held one can no longer be told."
            )
        for difference in account.differences:
            named = ", ".join(difference.records)
            more = " …" if difference.count > len(difference.records) else ""
            typer.echo(f"{account.exchange}: {difference.count:,} {difference.what}: {named}{more}")


def _reader(settings: Settings) -> CommittedReader | None:
    """Find Kafka where it is known; a home whose Kafka is stopped is proven from its tables."""
    try:
        return CommittedReader(find_endpoints(settings).kafka)
    except UnavailableError:
        typer.echo("Kafka is not running: proven from the tables alone.", err=True)
        return None
