"""usage: topic_oracle.py BOOTSTRAP REGISTRY TOPIC

Reads a topic from its beginning to its end with public clients and nothing of ours, and prints a line of JSON for each
record: `partition`, `offset`, `key`, `headers` (a list of pairs), `value` (its bytes in hex) and `event` (what fastavro
makes of them, under the registry's schema). A record that is not one whole event ends it with 1 and a reason.
"""

import datetime
import decimal
import functools
import io
import json
import struct
import sys
import urllib.request
import uuid

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

BOOTSTRAP, REGISTRY, TOPIC = sys.argv[1:]


@functools.cache
def schema(number):
    with urllib.request.urlopen(f"{REGISTRY}/schemas/ids/{number}") as answer:
        return fastavro.parse_schema(json.loads(json.load(answer)["schema"]))


def event(record):
    where, value = f"{TOPIC}/{record.partition()}/{record.offset()}", record.value()
    magic, number = struct.unpack(">bI", value[:5])
    if magic != 0:
        sys.exit(f"{where}: no registry frame")
    body = io.BytesIO(value[5:])
    read = fastavro.schemaless_reader(body, schema(number), None)
    if body.read():
        sys.exit(f"{where}: bytes behind the event")
    return read


def plain(value):
    match value:
        case bytes():
            return value.hex()
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case datetime.datetime() | datetime.date():
            return value.isoformat()
    raise TypeError(f"no JSON for {value!r}")


def text(value):
    return None if value is None else value.decode("latin-1")


def main():
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "oracle", "enable.auto.commit": False})
    partitions = consumer.list_topics(TOPIC, 30).topics[TOPIC].partitions
    left = {p: consumer.get_watermark_offsets(TopicPartition(TOPIC, p), 30)[1] for p in partitions}
    consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in partitions])
    while any(left.values()):
        records = consumer.consume(5000, 30)
        if not records:
            sys.exit(f"{TOPIC}: nothing comes for 30 s, and {left} are missing")
        for record in records:
            if record.error():
                sys.exit(f"{TOPIC}: {record.error()}")
            if record.offset() >= left[record.partition()]:
                continue
            if record.offset() + 1 == left[record.partition()]:
                left[record.partition()] = 0
            said = {
                "partition": record.partition(),
                "offset": record.offset(),
                "key": text(record.key()),
                "headers": [[name, text(value)] for name, value in record.headers() or []],
                "value": record.value().hex(),
                "event": event(record),
            }
            print(json.dumps(said, default=plain))
    consumer.close()


main()
