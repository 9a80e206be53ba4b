"""What is measured: the cases, the records, and the connectors' configurations for both sides."""

import dataclasses
import io
import json
import random
import struct

JSON = "org.apache.kafka.connect.json.JsonConverter"
STRING = "org.apache.kafka.connect.storage.StringConverter"
AVRO = "io.confluent.connect.avro.AvroConverter"
# Confluent's converter is in no public repository; Apicurio's is its descendant and speaks its wire format.
APICURIO = "io.apicurio.registry.utils.converter.AvroConverter"
TRANSFORMS = "org.apache.kafka.connect.transforms."

FIRST_NAMES = ["Amelia", "Bogdan", "Chidi", "Dagmar", "Eleni", "Farouk", "Giulia", "Hiroshi", "Ingrid", "Joaquin"]
LAST_NAMES = ["Andersson", "Baptiste", "Cavendish", "Dimitriou", "Eriksen", "Fitzgerald", "Gonzalez", "Hernandez"]
STATES = ["NEW", "PICKED", "SHIPPED", "DELIVERED", "CANCELLED"]

# The payload's schema in the envelope of schemas.enable=true
SCHEMA = {
    "type": "struct",
    "optional": False,
    "name": "shop.Order",
    "fields": [
        {"type": "string", "optional": False, "field": "order_id"},
        {"type": "string", "optional": False, "field": "sku"},
        {"type": "string", "optional": False, "field": "warehouse"},
        {"type": "int32", "optional": False, "field": "quantity"},
        {"type": "double", "optional": False, "field": "price"},
        {"type": "string", "optional": False, "field": "currency"},
        {"type": "int64", "optional": False, "field": "ts"},
        {
            "type": "struct",
            "optional": False,
            "name": "shop.Customer",
            "field": "customer",
            "fields": [
                {"type": "int32", "optional": False, "field": "id"},
                {"type": "string", "optional": False, "field": "name"},
            ],
        },
        {"type": "string", "optional": False, "field": "status"},
        {"type": "boolean", "optional": False, "field": "priority"},
        {"type": "string", "optional": True, "field": "note"},
    ],
}


AVRO_SCHEMA = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "sku", "type": "string"},
        {"name": "warehouse", "type": "string"},
        {"name": "quantity", "type": "int"},
        {"name": "price", "type": "double"},
        {"name": "currency", "type": "string"},
        {"name": "ts", "type": "long"},
        {
            "name": "customer",
            "type": {
                "type": "record",
                "name": "Customer",
                "fields": [{"name": "id", "type": "int"}, {"name": "name", "type": "string"}],
            },
        },
        {"name": "status", "type": "string"},
        {"name": "priority", "type": "boolean"},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}


def orders(count):
    """Keys and values of orders, JSON of about 242 bytes, the same in every run."""
    dice = random.Random(42)
    below = lambda limit: int(dice.random() * limit)  # noqa: E731  (randrange takes four times as long)
    for number in range(count):
        note = "null" if below(4) == 0 else f'"leave at door {below(900)}"'
        name = f"{FIRST_NAMES[below(10)]} {LAST_NAMES[below(8)]}"
        value = (
            f'{{"order_id":"ORD-{number:010d}","sku":"SKU-{100000 + below(900000)}","warehouse":"WH-{10 + below(20)}",'
            f'"quantity":{1 + below(40)},"price":{1 + below(1000)}.{10 + below(89)},"currency":"EUR",'
            f'"ts":{1760000000000 + number * 3},"customer":{{"id":{below(500000)},"name":"{name}"}},'
            f'"status":"{STATES[below(5)]}","priority":{"true" if below(10) == 0 else "false"},"note":{note}}}'
        )
        yield f"ORD-{number}", value


def enveloped(count):
    """The same with the schema in each record."""
    before = '{"schema":' + json.dumps(SCHEMA, separators=(",", ":")) + ',"payload":'
    for key, value in orders(count):
        yield key, before + value + "}"


def avro(count, schema_id):
    """The same in Avro, in Confluent's wire format."""
    import fastavro  # of the demo's Python

    schema = fastavro.parse_schema(AVRO_SCHEMA)
    for key, value in orders(count):
        out = io.BytesIO(struct.pack(">bI", 0, schema_id))
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, schema, json.loads(value))
        yield key, out.getvalue()


@dataclasses.dataclass(frozen=True)
class Case:
    """One path through a worker."""

    name: str
    title: str
    # "null", "file", or "source" for the file source
    end: str
    topic: str
    config: dict
    # Where the issue of this benchmark sets a target: the ratio to Kafka Connect that is to be reached
    target: float | None = None
    # What only one side is told, by its name; {registry} is the schema registry's address
    only: dict = dataclasses.field(default_factory=dict)


SCHEMALESS = {"value.converter": JSON, "value.converter.schemas.enable": "false"}
CHAIN = {
    "transforms": "trim,stamp,retype,when",
    "transforms.trim.type": TRANSFORMS + "ReplaceField$Value",
    "transforms.trim.exclude": "currency,note",
    "transforms.trim.renames": "sku:article",
    "transforms.stamp.type": TRANSFORMS + "InsertField$Value",
    "transforms.stamp.topic.field": "source_topic",
    "transforms.stamp.static.field": "origin",
    "transforms.stamp.static.value": "bench",
    "transforms.retype.type": TRANSFORMS + "Cast$Value",
    "transforms.retype.spec": "quantity:float64,price:string,priority:string",
    "transforms.when.type": TRANSFORMS + "TimestampConverter$Value",
    "transforms.when.field": "ts",
    "transforms.when.target.type": "string",
    "transforms.when.format": "yyyy-MM-dd HH:mm:ss",
}

REGISTRY = {
    "connect": {
        "value.converter": APICURIO,
        "value.converter.apicurio.registry.url": "{registry}/apis/registry/v2",
        "value.converter.apicurio.registry.as-confluent": "true",
        "value.converter.apicurio.registry.headers.enabled": "false",
        "value.converter.apicurio.registry.use-id": "contentId",
    },
    "millrace": {"value.converter": AVRO, "value.converter.schema.registry.url": "{registry}/apis/ccompat/v7"},
}

CASES = [
    Case("string-null", "String → null", "null", "orders", {"value.converter": STRING}),
    Case("json-null", "JSON → null", "null", "orders", SCHEMALESS, 1 / 3),
    Case("json-file", "JSON → file", "file", "orders", SCHEMALESS, 1 / 3),
    Case("json-chain-null", "JSON, 4 transforms → null", "null", "orders", SCHEMALESS | CHAIN, 1 / 4),
    Case(
        "schema-null",
        "JSON with schema → null",
        "null",
        "orders-schema",
        {"value.converter": JSON, "value.converter.schemas.enable": "true"},
    ),
    Case(
        "schema-chain-null",
        "JSON with schema, 4 transforms → null",
        "null",
        "orders-schema",
        {"value.converter": JSON, "value.converter.schemas.enable": "true"} | CHAIN,
    ),
    Case("avro-null", "Avro with registry → null", "null", "orders-avro", {}, 1 / 3, REGISTRY),
    Case("source-json", "file source → JSON", "source", "", SCHEMALESS, 1 / 4),
]


def connector(case, side, topic, path, records, registry=""):
    """A connector's configuration. `side` is connect or millrace; `path` is the file that is written, read or reported to."""
    only = {key: value.replace("{registry}", registry) for key, value in case.only.get(side, {}).items()}
    common = {"tasks.max": "1", "key.converter": STRING} | case.config | only
    if case.end == "source":
        return common | {"connector.class": "FileStreamSource", "file": path, "topic": topic}
    if case.end == "file":
        return common | {"connector.class": "FileStreamSink", "file": path, "topics": topic}
    if side == "millrace":
        return common | {"connector.class": "null-sink", "topics": topic}
    return common | {"connector.class": "millrace.test.NullSink", "topics": topic, "report": path, "expect": str(records)}
