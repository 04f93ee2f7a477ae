"""A Kafka topic of a test's own, under the name of an exchange of the test's own."""

from dataclasses import replace
from uuid import uuid4

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from k2.exchanges.kraken import KRAKEN


class Topic:
    """One topic; ``exchange`` is who sends to it."""

    def __init__(self, bootstrap, partitions=1, **config):
        self.bootstrap = bootstrap
        self.exchange = replace(KRAKEN, name=f"k{uuid4().hex[:12]}")
        self.name = self.exchange.topic
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._config = {"max.message.bytes": str(8 * 1024 * 1024), **config}
        self.create(partitions)

    def create(self, partitions=1):
        config = self._config
        made = self._admin.create_topics([NewTopic(self.name, partitions, 1, config=config)])
        made[self.name].result(30)

    def delete(self):
        self._admin.delete_topics([self.name])[self.name].result(30)
        while self.name in self._admin.list_topics(timeout=10).topics:
            pass

    def delete_records(self, before):
        where = TopicPartition(self.name, 0, before)
        self._admin.delete_records([where])[where].result(30)
        oldest = self._admin.list_offsets({TopicPartition(self.name, 0): OffsetSpec.earliest()})
        (found,) = oldest.values()
        assert found.result(30).offset == before

    def send_in_transaction(self, *values, commit=True):
        """Send values in one transaction, and end it."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "transactional.id": uuid4().hex,
                "log_level": 0,
            }
        )
        producer.init_transactions(60)
        producer.begin_transaction()
        for value in values:
            producer.produce(self.name, value, partition=0)
        producer.flush(30)
        if commit:
            producer.commit_transaction(60)
        else:
            producer.abort_transaction(60)

    def send(self, *values, partition=0, key=None, headers=None, timestamp=0):
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "message.max.bytes": 8 * 1024 * 1024,
                "log_level": 0,
            }
        )
        for value in values:
            producer.produce(
                self.name, value, key, partition=partition, headers=headers, timestamp=timestamp
            )
        assert producer.flush(30) == 0
