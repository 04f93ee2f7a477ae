"""``k2 balance`` and ``k2 drain`` as somebody on call types them: beside a feed, and on others' topics."""

import json
import signal

import pytest
from confluent_kafka import Producer

from k2.avro.schema_files import schema_text
from k2.connectors.schema_registry import SchemaRegistry
from k2.exchanges.kraken import KRAKEN
from tests.checker.manifest import check_manifest
from tests.support.home import K2Home, wait_until
from tests.support.trades import framed, kraken_raw

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]


def test_beside_a_healthy_feed_it_balances_and_a_drain_ends(home: K2Home) -> None:
    manifest = home.folder.with_name("manifest.jsonl")
    home.run("up", "--detach", "--feed", "none")
    # The feed of `k2 up` at its own rate, which writes down what it sends.
    feed = home.start("simulate", "--manifest", manifest)
    wait_until(lambda: home.rows("gold_trades") > 1_000, why=home.output.read_text)

    looks = [home.json("balance") for _ in range(30)]
    drained = home.json("drain")
    feed.send_signal(signal.SIGINT)
    assert feed.wait(60) == 0, home.output.read_text()
    home.run("drain")

    assert [look["balanced"] for look in looks] == [True] * 30, looks
    assert all(look["kafka_asked"] for look in looks)
    assert looks[-1]["exchanges"][0]["gold"] > looks[0]["exchanges"][0]["gold"]
    # In flight is told from missing: some of it was seen, and nothing is in the end.
    assert any(sum(a["in_flight"].values()) for look in looks for a in look["exchanges"])
    assert drained["drained"] is True
    assert check_manifest(home.folder, [manifest]) == []
    last = home.json("balance")
    assert last["balanced"] is True
    assert {n for account in last["exchanges"] for n in account["in_flight"].values()} == {0}
    home.run("down")


def test_a_topic_with_transactions_is_drained_and_balances(home: K2Home) -> None:
    home.run("up", "--detach", "--no-streams", "--feed", "none")
    services = json.loads((home.folder / "run" / "endpoints.json").read_text())
    schema_id = SchemaRegistry(services["registry"]).register(KRAKEN)[KRAKEN.reader_schema]
    schema = schema_text(KRAKEN.reader_schema)
    producer = Producer(
        {"bootstrap.servers": services["kafka"], "transactional.id": "a feed", "log_level": 0}
    )
    producer.init_transactions(60)
    for first, count, is_good in ((100, 5, True), (200, 7, False), (300, 5, True)):
        producer.begin_transaction()
        for trade_id in range(first, first + count):
            value = framed(kraken_raw(trade_id=trade_id), schema_id, schema)
            producer.produce(KRAKEN.topic, value)
        producer.flush(60)
        if is_good:
            producer.commit_transaction(60)
        else:
            producer.abort_transaction(60)

    drained = home.json("drain")
    found = home.json("balance")

    assert set(drained["backlog"].values()) == {0}
    (kraken,) = (account for account in found["exchanges"] if account["exchange"] == "kraken")
    assert found["balanced"] is True
    assert {kraken[layer] for layer in ("kafka", "bronze", "silver", "gold")} == {10}
    assert set(kraken["in_flight"].values()) == {0}
    home.run("down")
