"""What is measured: the cases, the records, and the connectors' configurations for both sides."""

import dataclasses
import json
import random

JSON = "org.apache.kafka.connect.json.JsonConverter"
STRING = "org.apache.kafka.connect.storage.StringConverter"
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
    Case("source-json", "file source → JSON", "source", "", SCHEMALESS, 1 / 4),
]


def connector(case, side, topic, path, records):
    """A connector's configuration. `side` is connect or millrace; `path` is the file that is written, read or reported to."""
    common = {"tasks.max": "1", "key.converter": STRING} | case.config
    if case.end == "source":
        return common | {"connector.class": "FileStreamSource", "file": path, "topic": topic}
    if case.end == "file":
        return common | {"connector.class": "FileStreamSink", "file": path, "topics": topic}
    if side == "millrace":
        return common | {"connector.class": "null-sink", "topics": topic}
    return common | {"connector.class": "millrace.test.NullSink", "topics": topic, "report": path, "expect": str(records)}
