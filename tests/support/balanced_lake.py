"""A lake that balances but for what a test takes away, and a broker that says where its topic ends."""

from dataclasses import dataclass, field

from k2.bronze.table import bronze_trades
from k2.bronze.topic_progress import bronze_checkpoint
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.quality.balance import balance
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates
from k2.storage.checkpoints.offset_log import OffsetLog, table_offset, write_lines
from k2.storage.delta import ensure_table
from tests.support.trades import (
    BROKER_TIME,
    append,
    append_silver,
    bronze_row,
    silver_row,
)

TOPIC = KRAKEN.topic
# Of Bronze's offsets 0 to 4: those that became trades, a dead letter, a repeated record.
SILVER_OFFSETS, DEAD, DUPLICATE = (0, 1, 2), (3,), (4,)


@dataclass
class Broker:
    """A Kafka whose topics reach as far as ``marks`` say, and that gives these ``records``."""

    marks: dict
    records: tuple = ()
    asked: list = field(default_factory=list)

    def watermarks(self, topic):
        return self.marks.get(topic, {})

    def committed_offsets(self, topic, partition, first, end):
        self.asked.append((partition, first, end))
        return [offset for offset in self.records if first <= offset < end]


def kraken(*marks):
    """A Kafka with partitions of Kraken's topic alone."""
    return Broker({TOPIC: dict(enumerate(marks))})


def dead_letter(offset):
    return {
        "raw_record": b"x",
        "error_type": "decode",
        "error_reasons": ["wrong_magic_byte"],
        "stage": "silver",
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
        "schema_id": None,
        "kafka_timestamp": BROKER_TIME,
        "error_timestamp": BROKER_TIME,
        "dlq_date": BROKER_TIME.date(),
    }


def duplicate(offset):
    return {
        "message_id": "m",
        "reason": "repeated",
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
        "kafka_timestamp": BROKER_TIME,
        "dup_date": BROKER_TIME.date(),
    }


def gold_row(exchange, offset):
    row = silver_row(exchange, offset)
    del row["schema_id"]
    return row | {"trade_value_usd": None, "is_late": False, "exchange_hour": 9}


def build(lake, bronze=range(5), silver=SILVER_OFFSETS, dead=DEAD, dup=DUPLICATE, gold=None):
    """Write a lake; what is not said is right."""
    append(lake, bronze_trades(KRAKEN), [bronze_row(KRAKEN, b"x", o) for o in bronze])
    append_silver(lake, KRAKEN, [silver_row(KRAKEN, offset) for offset in silver])
    append(lake, dead_letters(KRAKEN), [dead_letter(offset) for offset in dead])
    append(lake, duplicates(KRAKEN), [duplicate(offset) for offset in dup])
    in_gold = silver if gold is None else gold
    append(lake, GOLD_TRADES, [gold_row(KRAKEN, offset) for offset in in_gold])
    return lake


def account(lake, kafka=None):
    (found,) = balance(home_of(lake), [KRAKEN], kafka)
    return found


def home_of(lake):
    return Settings.load(home=lake.parent)


def named(*offsets):
    return [f"{TOPIC}-0@{offset}" for offset in offsets]


def differences(found):
    return {difference.what: difference.records for difference in found.differences}


def bronze(settings, *offsets):
    rows = [bronze_row(KRAKEN, b"x", offset) for offset in offsets]
    append(settings.lake, bronze_trades(KRAKEN), rows)


def commit(settings, app, source, batch=0):
    """Say that a stream has read all that a table has."""
    stored = ensure_table(settings.lake, source)
    log = OffsetLog(settings.checkpoint(app))
    log.plan(batch, (table_offset(str(stored.metadata().id), stored.version() + 1),), 0, 0)
    log.commit(batch, 0)


def commit_kafka(settings, end, first=0, batch=0):
    """Say that Bronze has read the topic's only partition up to ``end``."""
    checkpoint = bronze_checkpoint(settings, KRAKEN)
    said = f'\0v1\n{{"{TOPIC}":{{"0":{first}}}}}'
    write_lines(checkpoint / "sources" / "0" / "0", [said])
    log = OffsetLog(checkpoint)
    log.plan(batch, (f'{{"{TOPIC}":{{"0":{end}}}}}',), 0, 0)
    log.commit(batch, 0)
