"""Records that are a thousand times larger than trades, beside the streams and before them."""

import json
import random
from collections.abc import Iterable, Iterator

import pytest
from confluent_kafka import Producer

from k2.avro.schema_files import schema_text
from k2.connectors.schema_registry import SchemaRegistry
from k2.exchanges.kraken import KRAKEN
from tests.support.home import K2Home, wait_until
from tests.support.trades import framed, kraken_raw

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

KIB, MIB = 1024, 1024 * 1024
# 12,000 records, one gigabyte; with its header the largest is what Kafka takes at most.
SIZES = {64 * KIB: 11_400, 256 * KIB: 480, MIB: 100, 8 * MIB - 512: 20}
GOOD = 200
MANY = str(10**12)


def large_records() -> Iterator[bytes]:
    """What is no trade, and does not become smaller by compression; all sizes among each other."""
    chance = random.Random(7)
    noise = chance.randbytes(max(SIZES))
    sizes = [size for size, count in SIZES.items() for _ in range(count)]
    chance.shuffle(sizes)
    yield from (noise[:size] for size in sizes)


def good_records(registry: str) -> Iterator[bytes]:
    schema_id = SchemaRegistry(registry).register(KRAKEN)[KRAKEN.reader_schema]
    schema = schema_text(KRAKEN.reader_schema)
    yield from (framed(kraken_raw(trade_id=n), schema_id, schema) for n in range(GOOD))


def send(home: K2Home, *records: Iterable[bytes]) -> None:
    kafka = json.loads((home.folder / "run" / "endpoints.json").read_text())["kafka"]
    most = {"message.max.bytes": 8 * MIB, "queue.buffering.max.kbytes": 64 * KIB, "log_level": 0}
    producer = Producer({"bootstrap.servers": kafka, **most})
    for record in (record for some in records for record in some):
        while True:
            try:
                producer.produce(KRAKEN.topic, record)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(300) == 0


def registry(home: K2Home) -> str:
    return str(json.loads((home.folder / "run" / "endpoints.json").read_text())["registry"])


def test_twelve_thousand_large_records_are_dead_letters_and_the_good_ones_behind_them_trades(
    home: K2Home,
) -> None:
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    send(home, large_records(), good_records(registry(home)))

    home.run("drain", "--timeout", "900s")

    assert home.rows("dlq_kraken_trades") == sum(SIZES.values())
    assert home.rows("gold_trades") == GOOD
    assert home.json("balance")["balanced"] is True
    home.run("down")


def test_large_records_that_come_while_streams_run_stop_nothing(home: K2Home) -> None:
    home.run("up", "--detach", "--rate", "200/s")
    wait_until(lambda: home.rows("gold_trades") > 500, why=home.output.read_text)

    send(home, large_records(), good_records(registry(home)))
    home.run("drain", "--timeout", "900s")

    assert home.rows("dlq_kraken_trades") >= sum(SIZES.values())
    assert home.json("balance")["balanced"] is True
    home.run("status", "--check")
    home.run("down")


def test_a_batch_that_dies_of_want_of_memory_again_is_taken_in_smaller_parts(
    home: K2Home,
) -> None:
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    send(home, (bytes([n % 256]) * 256 * KIB for n in range(4_000)), good_records(registry(home)))
    # As if nobody had looked at the records before: a gigabyte in one batch.
    unlimited = {"K2_MAX_KAFKA_BYTES_PER_BATCH": MANY}

    died = home.run_raw("drain", "--timeout", "600s", **unlimited)

    assert died.returncode == 1, died.stdout + died.stderr
    assert "Traceback" not in died.stdout + died.stderr
    starts = 1
    while home.run_raw("drain", "--timeout", "600s", **unlimited).returncode:
        starts += 1
        assert (
            starts <= 2
        )  # the first start takes it as it was: a batch may have been killed by hand
    assert home.rows("dlq_kraken_trades") == 4_000
    assert home.rows("gold_trades") == GOOD
    assert home.json("balance")["balanced"] is True
    home.run("down")
