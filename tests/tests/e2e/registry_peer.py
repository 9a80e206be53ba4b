"""The other side of the schema registry's wire format: fastavro, which shares nothing with Millrace.

    registry_peer.py read BOOTSTRAP REGISTRY TOPIC COUNT    the decoded values of a topic, a JSON object per line
    registry_peer.py write BOOTSTRAP REGISTRY TOPIC         registers two versions of a schema, writes records of both
"""
import datetime
import decimal
import io
import json
import struct
import sys
import urllib.request

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

BASE = [
    {"name": "id", "type": "long"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["OPEN", "DONE"]}},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "sizes", "type": {"type": "map", "values": "int"}},
    {"name": "any", "type": ["null", "int", "string"], "default": None},
    {"name": "home", "type": {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}]}},
]
NEWER = BASE + [{"name": "flag", "type": "boolean", "default": False}]


def call(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)


def read(bootstrap, registry, topic, count):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    schemas = {}
    while count > 0:
        message = consumer.poll(20)
        if message is None or message.error():
            sys.exit(f"{count} records are missing: {message and message.error()}")
        magic, schema_id = struct.unpack(">bI", message.value()[:5])
        assert magic == 0, magic
        if schema_id not in schemas:
            schemas[schema_id] = fastavro.parse_schema(json.loads(call(f"{registry}/schemas/ids/{schema_id}")["schema"]))
        rest = io.BytesIO(message.value()[5:])
        print(json.dumps(fastavro.schemaless_reader(rest, schemas[schema_id]), default=str))
        assert rest.read() == b"", "bytes after the value"
        count -= 1
    consumer.close()


def record(number, newer):
    value = {
        "id": number,
        "price": decimal.Decimal(number * 7 - 500).scaleb(-2),
        "day": datetime.date(1960 + number, 2, 28),
        "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(milliseconds=number),
        "note": None if number % 3 == 0 else "n\u00f6te " * number,
        "state": "OPEN" if number % 2 else "DONE",
        "tags": [f"t{i}" for i in range(number % 5)],
        "sizes": {f"k{i}": -i * 1000 for i in range(number % 3)},
        "any": [None, number, f"s{number}"][number % 3],
        "home": {"city": "\u6771\u4eac"},
    }
    if newer:
        value["flag"] = number % 2 == 0
    return value


def write(bootstrap, registry, topic):
    producer = Producer({"bootstrap.servers": bootstrap})
    for newer, fields in [(False, BASE), (True, NEWER)]:
        schema = {"type": "record", "name": "Order", "namespace": "peer", "fields": fields}
        body = {"schema": json.dumps(schema)}
        schema_id = call(f"{registry}/subjects/{topic}-value/versions", body)["id"]
        parsed = fastavro.parse_schema(schema)
        # Records of both versions in turn, in one batch
        for number in range(newer, 100, 2):
            out = io.BytesIO(struct.pack(">bI", 0, schema_id))
            out.seek(5)
            fastavro.schemaless_writer(out, parsed, record(number, newer))
            producer.produce(topic, key=str(number), value=out.getvalue())
    assert producer.flush(30) == 0


if __name__ == "__main__":
    command, bootstrap, registry, topic, *rest = sys.argv[1:]
    if command == "read":
        read(bootstrap, registry, topic, int(rest[0]))
    else:
        write(bootstrap, registry, topic)
