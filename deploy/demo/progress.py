"""Shows how far each connector is, until all have committed the end of the topic: `python progress.py TIMEOUT PRODUCER_PID`.

Done means done: the number shown is of offsets that the connector's consumer group has committed, which Millrace does only
after the store has acknowledged the records.
"""

import os
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

TOPIC = os.environ.get("INVENTORY_TOPIC", "inventory-events")
STORES = ["mongodb", "cassandra", "elasticsearch"]


def runs(pid):
    """Whether a process is there and has not ended (an unwaited child stays as a zombie)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def main():
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    timeout, producer = float(sys.argv[1]), sys.argv[2]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "inventory-progress", "enable.auto.commit": False})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partitions = list(consumer.list_topics(TOPIC, 15).topics[TOPIC].partitions)

    def produced():
        return sum(consumer.get_watermark_offsets(TopicPartition(TOPIC, p), 15)[1] for p in partitions)

    def committed(connector):
        request = [ConsumerGroupTopicPartitions(f"connect-{connector}", [TopicPartition(TOPIC, p) for p in partitions])]
        answer = list(admin.list_consumer_group_offsets(request).values())[0].result(15)
        return sum(max(p.offset, 0) for p in answer.topic_partitions)

    started = time.monotonic()
    deadline = started + timeout
    live = sys.stdout.isatty()
    first = True
    while True:
        producing = runs(producer)  # asked first: what it produced is counted after
        total = produced()
        done = {store: committed(f"inventory-{store}") for store in STORES}
        finished = not producing and all(n >= total for n in done.values())
        seconds = time.monotonic() - started
        if live and not first:
            print(f"\x1b[{len(STORES)}A", end="")
        if live or first or finished or int(seconds) % 5 == 0:
            for store, n in done.items():
                bar = "#" * (30 * n // total if total else 0)
                print(f"  {store:<14} [{bar:<30}] {n:>9,} of {total:,} events  {seconds:5.0f} s", flush=True)
        first = False
        if finished:
            break
        if time.monotonic() > deadline:
            sys.exit(f"not done after {timeout:.0f} s; look at `millrace get connectors` and the logs")
        time.sleep(1)
    consumer.close()


if __name__ == "__main__":
    main()
