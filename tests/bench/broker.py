"""The broker of a benchmark, its topics, the data in them, and the registry with their schemas."""

import json
import os
import subprocess
import urllib.request

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from sides import LIMIT, SERVERS, free_offset, until

PARTITIONS = 4


class Broker:
    """A broker of our own (removed at the end) with a schema registry where one is needed, or those that BENCH_BOOTSTRAP and
    BENCH_REGISTRY name."""

    def __init__(self, folder, with_registry):
        self.bootstrap = os.environ.get("BENCH_BOOTSTRAP")
        self.registry = os.environ.get("BENCH_REGISTRY", "http://127.0.0.1:8181")
        self.environment = None
        if self.bootstrap is None:
            offset = free_offset(9092, 9093, 8181)
            self.environment = os.environ | {"SERVERS_HOME": f"{folder}/servers", "PORT_OFFSET": str(offset)}
            self.servers = ["kafka", "registry"] if with_registry else ["kafka"]
            subprocess.run([SERVERS, "up", *self.servers], check=True, env=self.environment)
            self.bootstrap = f"127.0.0.1:{9092 + offset}"
            self.registry = f"http://127.0.0.1:{8181 + offset}"
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        self.watcher = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "bench-watcher", "log_level": 2})

    def stop(self):
        self.watcher.close()
        if self.environment:
            subprocess.run([SERVERS, "clean", *self.servers], check=False, env=self.environment, stdout=subprocess.DEVNULL)

    def register(self, subject, schema):
        """Registers an Avro schema; answers its id."""
        body = json.dumps({"schema": json.dumps(schema)}).encode()
        request = urllib.request.Request(f"{self.registry}/apis/ccompat/v7/subjects/{subject}/versions", body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["id"]

    def create(self, topic, partitions=PARTITIONS):
        for future in self.admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            future.result()
        until(f"topic {topic}", lambda: self.end(topic, partitions) == 0, 120, 0.05)

    def delete(self, *topics):
        for future in self.admin.delete_topics(list(topics)).values():
            future.result()

    def end(self, topic, partitions=PARTITIONS):
        """The sum of the partitions' ends; None while one cannot be told."""
        try:
            parts = (TopicPartition(topic, number) for number in range(partitions))
            return sum(self.watcher.get_watermark_offsets(part, timeout=10)[1] for part in parts)
        except KafkaException:
            # No leader yet, or the client remembers that there was no such topic
            self.watcher.list_topics(topic, timeout=10)
            return None

    def produce(self, topic, records):
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "linger.ms": 20,
                "batch.size": 262144,
                "queue.buffering.max.messages": 1000000,
                "partitioner": "murmur2_random",
                "log_level": 2,
            }
        )
        sent = 0
        for key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
            sent += 1
            if sent % 10000 == 0:
                producer.poll(0)
        if producer.flush(LIMIT):
            raise RuntimeError(f"{topic}: not all records were acknowledged")
        return sent
