"""The balance proves that nothing is missing: every record is counted through every table, by its offset.

Kafka to Bronze, Bronze to exactly one of Silver, dead letters and duplicates, Silver to Gold. A dead
letter that a replay resolved is no longer one here, and must be what the ledger says. Read from the
tables as they are stored, with DuckDB, by code that the streams do not use. It may run beside them:
what is in flight is told from what is missing (:mod:`k2.quality.consistent_cut`).
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Protocol

from k2.bronze.topic_progress import Watermarks
from k2.exchanges import Exchange
from k2.home.locks import is_held
from k2.quality.consistent_cut import Cut, take_cuts
from k2.quality.kafka_account import Found, KafkaAccount
from k2.quality.offset_blocks import OffsetBlocks, Source, spilling_database
from k2.quality.table_account import TableAccount
from k2.quality.verified_offsets import VerifiedOffsets
from k2.settings import Settings
from k2.silver.table_names import silver_trades_name
from k2.sql import text

ABSENT_IN_BRONZE = "between Bronze's offsets, but not in Bronze"

# A replay of dead letters writes several tables, one after the other, and is in none of the checkpoints.
_LOOKS = 3
_BETWEEN_LOOKS_SECONDS = 2.0


class Broker(Protocol):
    """What is asked of Kafka."""

    def watermarks(self, topic: str) -> Watermarks:
        """Return each partition's first offset and the end of what is committed."""

    def committed_offsets(self, topic: str, partition: int, first: int, end: int) -> Iterable[int]:
        """Return the offsets of a range that hold a committed record."""


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
    ``in_flight`` are, by layer, the records that it has still to take. ``unproven`` are offsets that
    Bronze passed without a record and that Kafka has deleted since.
    """

    exchange: str
    kafka: int | None = None
    bronze: int = 0
    silver: int = 0
    dead_letters: int = 0
    duplicates: int = 0
    gold: int = 0
    resolved: int = 0
    in_flight: dict[str, int] = field(default_factory=dict)
    unproven: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Tell whether every record is where it must be, once, or on its way there."""
        return not self.differences

    def public(self) -> dict[str, Any]:
        """Return the account for programs."""
        return {**asdict(self), "balanced": self.balanced}


def balance(
    settings: Settings, exchanges: Iterable[Exchange], broker: Broker | None = None
) -> list[ExchangeBalance]:
    """Account for every record of every exchange.

    Without a ``broker`` it compares from Bronze on, and then Bronze must hold every offset that it has
    read, unless it was found earlier that an offset holds no record. While streams run, only what
    several looks find is a difference.

    Raises:
        ContractError: a table's file is missing or is not readable.
        UnavailableError: Kafka does not answer.
    """
    exchanges = tuple(exchanges)
    accounts = _look(settings, exchanges, broker)
    for _ in range(1, _LOOKS):
        broken = [account.exchange for account in accounts if not account.balanced]
        again = [exchange for exchange in exchanges if exchange.name in broken]
        if not any(_is_running(settings, exchange) for exchange in again):
            break
        time.sleep(_BETWEEN_LOOKS_SECONDS)
        fresh = {account.exchange: account for account in _look(settings, again, broker)}
        accounts = [fresh.get(account.exchange, account) for account in accounts]
    return accounts


def _look(
    settings: Settings, exchanges: Iterable[Exchange], broker: Broker | None
) -> list[ExchangeBalance]:
    return [_account(settings, cut, broker) for cut in take_cuts(settings, exchanges)]


def _account(settings: Settings, cut: Cut, broker: Broker | None) -> ExchangeBalance:
    exchange = cut.exchange
    kafka_path = settings.home / "quality" / f"verified-{exchange.name}.json"
    # After the tables were looked at: what Bronze has is below Kafka's end.
    marks = broker.watermarks(exchange.topic) if broker is not None else None
    ask = partial(broker.committed_offsets, exchange.topic) if broker is not None else None
    sources = {name: Source(files) for name, files in cut.files.items()}
    sources["gold"] = Source(cut.files["gold"], f"exchange = {text(exchange.name)}")
    resolved = cut.files["resolved"]
    sources["resolved_as_trade"] = Source(resolved, "outcome = 'trade'")
    sources["resolved_as_duplicate"] = Source(resolved, "outcome = 'duplicate'")
    with spilling_database(settings.run / "spill") as database:
        blocks = OffsetBlocks(database, sources)
        kafka = KafkaAccount(blocks, VerifiedOffsets.load(kafka_path), marks, ask)
        kafka.compare(cut.read)
        tables = TableAccount(blocks)
        tables.compare(kafka.blocks_with_repeats)
        account = ExchangeBalance(exchange.name)
        for name in ("bronze", "silver", "duplicates", "gold", "resolved"):
            setattr(account, name, blocks.rows(name))
        # A ledger may name what never was a dead letter.
        account.dead_letters = max(blocks.rows("dead_letters") - account.resolved, 0)
        account.kafka = None if marks is None else kafka.records
    account.unproven = kafka.unproven
    account.in_flight = {
        "bronze": kafka.in_flight,
        "silver": tables.in_flight["bronze"],
        "gold": tables.in_flight["silver"],
    }
    for what, found in {**_of_kafka(kafka), **tables.differences}.items():
        if found.count:
            records = [f"{exchange.topic}-{partition}@{at}" for partition, at in found.first]
            account.differences.append(Difference(what, found.count, records))
    return account


def _of_kafka(kafka: KafkaAccount) -> dict[str, Found]:
    if kafka.marks is None:
        return {ABSENT_IN_BRONZE: kafka.missing}
    return {
        "in Kafka, but not in Bronze": kafka.missing,
        "deleted by Kafka before Bronze had read them": kafka.lost,
        "in Bronze, but not in Kafka (a topic made anew?)": kafka.beyond,
    }


def _is_running(settings: Settings, exchange: Exchange) -> bool:
    return is_held(settings.run / "locks", silver_trades_name(exchange))
