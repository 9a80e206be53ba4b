"""Produces realistic inventory events: `python events.py COUNT [SEED]`.

The key is JSON text such as {"sku":"SKU-00017","warehouse":"AMS"}; the value is the stock line after the event, or null when
the line was removed. Several updates of one key fall within one millisecond (a picking run books its lines at once), so
that whoever orders by timestamp alone is found out. Prints the number of events and of distinct keys as JSON.
"""

import json
import os
import random
import sys
import time

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC = os.environ.get("INVENTORY_TOPIC", "inventory-events")
PARTITIONS = 6
WAREHOUSES = ["AMS", "BER", "LIS", "MAD", "OSL"]
PRODUCTS = ["Kettle", "Lamp", "Desk", "Chair", "Café table", "Shelf \"Oslo\"", "Rug", "Mirror", "Plant pot", "Clock"]


def ensure_topic(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for topic, future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).items():
        try:
            future.result(30)
        except Exception as error:  # the one error that is fine is that it exists
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise SystemExit(f"cannot create topic {topic}: {error}")


def events(count, rng, start_ms):
    """(key, value or None, timestamp) in order; time moves on by 0 to 2 ms between runs of 1 to 6 events of a key."""
    now = start_ms
    produced = 0
    while produced < count:
        sku = rng.randrange(1200)
        key = {"sku": f"SKU-{sku:05d}", "warehouse": rng.choice(WAREHOUSES)}
        for _ in range(min(rng.choice([1, 1, 1, 2, 3, 6]), count - produced)):
            value = {
                "sku": key["sku"],
                "warehouse": key["warehouse"],
                "name": f"{PRODUCTS[sku % len(PRODUCTS)]} {sku}",
                "event": rng.choice(["received", "picked", "counted", "reserved"]),
                "quantity": rng.randrange(-5, 5000),
                "reserved": rng.randrange(0, 50),
                "price": round(rng.uniform(0.5, 900), 2),
                "updated_at": now,
                "sequence": produced,
            }
            removed = rng.random() < 0.04
            yield key, None if removed else value, now
            produced += 1
        now += rng.randrange(3)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    ensure_topic(bootstrap)
    failures = []
    # A broker that has just started answers some first requests with "try again", which the client does by itself.
    quiet = {"log_level": 3}
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, **quiet})
    keys = set()
    # Timestamps end about now: each run of the demo lies after the one before it.
    start = time.time_ns() // 1_000_000 - count
    for key, value, timestamp in events(count, random.Random(seed), start):
        key_text = json.dumps(key, separators=(",", ":"))
        keys.add(key_text)
        body = None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        while True:
            try:
                producer.produce(
                    TOPIC, body, key_text, timestamp=timestamp, on_delivery=lambda e, _: e and failures.append(str(e))
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(120)
    if left or failures:
        raise SystemExit(f"{left + len(failures)} events were not produced: {failures[:1]}")
    print(json.dumps({"topic": TOPIC, "events": count, "keys": len(keys)}))


if __name__ == "__main__":
    main()
