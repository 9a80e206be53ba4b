"""The cases with MongoDB: a mongod of their own, what is in it, the connectors, and the bare driver loop beside them."""

import json
import os
import subprocess

import pymongo
import report
from pymongo.read_concern import ReadConcern

from cases import SCHEMALESS, STRING, Case, orders
from sides import SERVERS, free_offset, until

DATABASE = "bench"
# Copied, and followed from before its first document on
EXISTING = "orders"
# Sinks read a topic of their own: fewer records than from a topic to nowhere
TOPIC = "orders-mongodb"
SHARE = 5

BY_ORDER = {
    "document.id.strategy": "com.mongodb.kafka.connect.sink.processor.id.strategy.PartialValueStrategy",
    "document.id.strategy.partial.value.projection.type": "AllowList",
    "document.id.strategy.partial.value.projection.list": "order_id",
}
STRATEGY = "com.mongodb.kafka.connect.sink.writemodel.strategy."
TEXTS = {"value.converter": STRING}

CASES = [
    Case(
        "mongodb-insert",
        "JSON → MongoDB, insert",
        "mongodb-sink",
        TOPIC,
        SCHEMALESS | {"writemodel.strategy": STRATEGY + "InsertOneDefaultStrategy"},
        1 / 4,
    ),
    Case(
        "mongodb-upsert",
        "JSON → MongoDB, upsert by a field",
        "mongodb-sink",
        TOPIC,
        SCHEMALESS | BY_ORDER | {"writemodel.strategy": STRATEGY + "ReplaceOneDefaultStrategy"},
        1 / 4,
    ),
    Case("mongodb-stream", "MongoDB, change stream → JSON", "mongodb-stream", "", TEXTS),
    Case("mongodb-copy", "MongoDB, existing data → JSON", "mongodb-copy", "", TEXTS, 1 / 6),
]
# What Kafka Connect is given besides: polls of as many records as a batch of ours has; its default of 500 makes smaller
# bulk writes. Whether a bulk write is ordered makes no difference to Millrace.
CONNECT = {"mongodb-sink": {"consumer.override.max.poll.records": "2000"}}
CLASSES = {"mongodb-sink": "com.mongodb.kafka.connect.MongoSinkConnector"}
SOURCE_CLASS = "com.mongodb.kafka.connect.MongoSourceConnector"


class MongoDB:
    """A mongod, removed at the end, with the documents that are copied and followed."""

    def __init__(self, folder):
        offset = free_offset(27017)
        # A cache that holds the data, as its owner would give it
        settings = {"SERVERS_HOME": f"{folder}/mongodb", "PORT_OFFSET": str(offset), "MONGODB_CACHE_GB": "1"}
        self.environment = os.environ | settings
        subprocess.run([SERVERS, "up", "mongodb"], check=True, env=self.environment)
        self.pin()
        self.uri = f"mongodb://127.0.0.1:{27017 + offset}/?replicaSet=rs0"
        self.client = pymongo.MongoClient(self.uri)
        self.database = self.client[DATABASE]
        # All rounds follow the same events, behind which the oplog holds what the sinks have written.
        self.client.admin.command("replSetResizeOplog", 1, minRetentionHours=24.0)
        self.begun = None

    def pin(self):
        """One core for the store. Otherwise it takes what the worker leaves, and its limit would be that of a worker that takes nothing."""
        pid = subprocess.run([SERVERS, "pid", "mongodb"], check=True, env=self.environment, capture_output=True, text=True).stdout.strip()
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {0})

    def stop(self):
        self.client.close()
        subprocess.run([SERVERS, "clean", "mongodb"], check=False, env=self.environment, stdout=subprocess.DEVNULL)

    def fill(self, records):
        """The documents that are copied, and the time before them."""
        self.database.create_collection(EXISTING)
        self.begun = self.client.admin.command("hello")["lastWrite"]["opTime"]["ts"]
        documents = [json.loads(value) for _, value in orders(records)]
        for start in range(0, records, 5000):
            self.database[EXISTING].insert_many(documents[start : start + 5000])
        majority = self.database.get_collection(EXISTING, read_concern=ReadConcern("majority"))
        until("the documents are safe", lambda: majority.count_documents({}) == records, 60, 0.1)

    # --- one run ---------------------------------------------------------------------------------

    def count(self, collection):
        return self.database[collection].estimated_document_count()

    def topic(self, name):
        """Where the source of this name writes to."""
        return f"{name}.{DATABASE}.{EXISTING}"

    def connector(self, case, side, name):
        """A connector's configuration; a sink writes to the collection of its name."""
        common = {"tasks.max": "1", "key.converter": STRING, "connection.uri": self.uri, "database": DATABASE} | case.config
        common["connector.class"] = CLASSES.get(case.end, SOURCE_CLASS)
        if side == "connect":
            common |= CONNECT.get(case.end, {})
        if case.end == "mongodb-sink":
            return common | {"topics": case.topic, "collection": name, "bulk.write.ordered": "false"}
        source = common | {"collection": EXISTING, "topic.prefix": name}
        if case.end == "mongodb-copy":
            return source | {"startup.mode": "copy_existing"}
        time = f'{{"$timestamp": {{"t": {self.begun.time}, "i": {self.begun.inc}}}}}'
        return source | {"startup.mode": "timestamp", "startup.mode.timestamp.start.at.operation.time": time}

    def drop(self, collection):
        self.database.drop_collection(collection)

    def limit(self, case, records):
        """The words for the bare driver loop of a case."""
        words = ["--uri", self.uri, "--namespace", f"{DATABASE}.{EXISTING}", "--records", str(records)]
        return [*words, "--what", case.name.removeprefix("mongodb-"), "--at", f"{self.begun.time}.{self.begun.inc}"]


def table(bench):
    """Beside the bare driver loop."""
    rows = [
        "| path | bare driver loop, CPU-s/M | records/s | Millrace, CPU | records/s |",
        "|---|---|---|---|---|",
    ]
    for case in bench.cases:
        limits = bench.store_limits.get(case.name)
        if limits:
            ours = bench.runs.get((case.name, "millrace"), [])
            cpu, rate = (report.ratio(report.median(ours, what), report.median(limits, what)) for what in ("cpu", "rate"))
            cells = [report.spread(limits, "cpu", 2), report.spread(limits, "rate", 0)]
            rows.append(f"| {case.title} | {cells[0]} | {cells[1]} | × {cpu} | × {rate} |")
    return [*rows, ""] if len(rows) > 2 else []
