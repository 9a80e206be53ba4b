"""Compares each store with the produced log, key by key: `python verify.py [mongodb] [cassandra] [elasticsearch]`.

The expected state is the last value of each key in the topic, read here by a plain Kafka consumer; each store is read by
its own client. Nothing of Millrace is used. Exits with 1 when anything differs, and names the first differences.
"""

import json
import os
import sys
import time
import urllib.request

from confluent_kafka import Consumer, TopicPartition

TOPIC = os.environ.get("INVENTORY_TOPIC", "inventory-events")
DATABASE = os.environ.get("INVENTORY_DATABASE", "inventory")
FIELDS = ["quantity", "reserved", "price", "name", "updated_at"]


def expected_state(bootstrap):
    """{(sku, warehouse): value}, the number of events, and the keys that ended as removed."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "inventory-verification", "enable.auto.commit": False}
    )
    metadata = consumer.list_topics(TOPIC, 15).topics[TOPIC]
    ends, state, events = {}, {}, 0
    for partition in metadata.partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), 15)
        if high > low:
            ends[partition] = high
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in ends])
    deadline = time.monotonic() + 120
    while ends and time.monotonic() < deadline:
        for message in consumer.consume(5000, 1.0):
            if message.error():
                raise SystemExit(f"cannot read {TOPIC}: {message.error()}")
            key = json.loads(message.key())
            value = message.value()
            state[(key["sku"], key["warehouse"])] = None if value is None else json.loads(value)
            events += 1
            if message.offset() + 1 >= ends.get(message.partition(), 0):
                ends.pop(message.partition(), None)
    consumer.close()
    if ends:
        raise SystemExit(f"could not read {TOPIC} to its end; left: {ends}")
    live = {key: value for key, value in state.items() if value is not None}
    return live, events, len(state) - len(live)


def mongodb_rows():
    from pymongo import MongoClient

    client = MongoClient(os.environ.get("MONGODB_URI", "mongodb://127.0.0.1:27017/?replicaSet=rs0"))
    for document in client[DATABASE]["stock"].find():
        identity = document.pop("_id")
        yield (identity["sku"], identity["warehouse"]), document


def cassandra_rows():
    from query import connect

    cluster, session = connect()
    try:
        for row in session.execute(f"SELECT * FROM {DATABASE}.stock"):
            row = dict(row._asdict())
            yield (row.pop("sku"), row.pop("warehouse")), row
    finally:
        cluster.shutdown()


def elasticsearch_rows():
    base = os.environ.get("ELASTICSEARCH_URL", "http://127.0.0.1:9200")

    def call(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            base + path, data, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    call(f"/{TOPIC}/_refresh")
    page = call(f"/{TOPIC}/_search?scroll=1m", {"size": 5000, "query": {"match_all": {}}, "sort": ["_doc"]})
    while page["hits"]["hits"]:
        for hit in page["hits"]["hits"]:
            key = json.loads(hit["_id"])
            yield (key["sku"], key["warehouse"]), hit["_source"]
        page = call("/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})


STORES = {"mongodb": mongodb_rows, "cassandra": cassandra_rows, "elasticsearch": elasticsearch_rows}


def compare(live, rows, whole):
    """Counts and the first differences. `whole`: the store keeps all fields, not just the mapped ones."""
    missing, equal, different, extra, examples = dict(live), 0, 0, 0, []
    for key, row in rows:
        want = live.get(key)
        if want is None:
            extra += 1
            examples.append(f"{key}: is there, was removed (or never was)")
            continue
        missing.pop(key, None)
        wrong = [field for field in (want if whole else FIELDS) if row.get(field) != want[field]]
        if whole:
            wrong += [field for field in row if field not in want]
        if wrong:
            different += 1
            examples.append(f"{key}: {wrong[0]} is {row.get(wrong[0])!r}, expected {want.get(wrong[0])!r}")
        else:
            equal += 1
    examples += [f"{key}: missing" for key in list(missing)[:3]]
    return equal, len(missing), different, extra, examples


def main():
    stores = sys.argv[1:] or list(STORES)
    live, events, removed = expected_state(os.environ.get("KAFKA_BOOTSTRAP", "127.0.0.1:9092"))
    print(f"{events:,} events in {TOPIC}: {len(live):,} stock lines expected, {removed:,} removed\n")
    line = "{:<14} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}"
    print(line.format("store", "expected", "equal", "missing", "different", "extra", "correct"))
    failed, all_examples = False, []
    for store in stores:
        equal, missing, different, extra, examples = compare(live, STORES[store](), store != "cassandra")
        total = len(live) + extra
        share = 100 * equal / total if total else 100.0
        shown = "100 %" if equal == total else f"{min(share, 99.99):.2f} %"
        print(line.format(store, len(live), equal, missing, different, extra, shown))
        failed |= bool(missing or different or extra) or not live
        all_examples += [f"  {store} {example}" for example in examples[:3]]
    if all_examples:
        print("\nFirst differences:\n" + "\n".join(all_examples))
    if not live:
        print("\nThere is nothing to compare: the topic holds no stock line.")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
