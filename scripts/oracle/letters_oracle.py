"""Reads dead-letter topics as a stranger does: with Confluent's client and nothing of ours.

usage: letters_oracle.py BOOTSTRAP SOURCE_TOPIC DEAD_LETTER_TOPIC...

Holds every letter against the record that it says it was: key, value, headers and timestamp byte for byte, and the
number of the partition. A letter in parts is joined as its documentation says. Prints one line of JSON for each letter:
topic (its own), partition and offset (of its origin), reason, key and value in hex or null, parts (how many it came in).
The first thing that is not as it must be ends it with 1 and a reason: two letters of one record, too.
"""

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition

PREFIX = "x-dlq-"
PATIENCE_S = 60


def check(held, where, what):
    if not held:
        sys.exit(f"{where}: {what}")


def records(bootstrap, topic):
    """All records of a topic, each partition in its order, up to the ends that it has now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "oracle", "enable.auto.commit": False})
    check(topic in consumer.list_topics(topic, PATIENCE_S).topics, topic, "is no topic")
    partitions = consumer.list_topics(topic, PATIENCE_S).topics[topic].partitions
    begins, left = [], {}
    for number in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), PATIENCE_S)
        begins.append(TopicPartition(topic, number, low))
        if high > low:
            left[number] = high
    consumer.assign(begins)
    heard = time.monotonic()
    while left:
        # waits for so many, or this long
        batch = consumer.consume(10_000, 0.2)
        heard = time.monotonic() if batch else heard
        check(time.monotonic() - heard < PATIENCE_S, topic, f"nothing comes, but these are not at their ends: {left}")
        for message in batch:
            check(message.error() is None, topic, message.error())
            number = message.partition()
            if message.offset() < left.get(number, 0):
                yield message
            if message.offset() + 1 >= left.get(number, 0):
                left.pop(number, None)
    consumer.close()


def letters(bootstrap, topic):
    """The whole letters: of what came last, the origin and all that is kept."""
    begun = {}
    for message in records(bootstrap, topic):
        where = f"{topic}[{message.partition()}]@{message.offset()}"
        headers = message.headers() or []
        own = [name for name, _ in headers].index(PREFIX + "id")
        said = {name.removeprefix(PREFIX): value.decode() for name, value in headers[own:]}
        check(len(said) == len(headers) - own, where, "says something twice")
        value, parts = message.value(), 1
        if "part" in said:
            number, parts = map(int, said["part"].split("/"))
            have = b"" if number == 1 else begun.pop((said["id"], number - 1, parts), None)
            check(have is not None, where, f"part {number} of {parts} without the one before")
            value = have + value
            if number < parts:
                begun[said["id"], number, parts] = value
                continue
        yield {
            "where": where,
            "origin": (int(said["partition"]), int(said["offset"])),
            "said": said,
            "parts": parts,
            "partition": message.partition(),
            "kept": (message.key(), value, headers[:own], message.timestamp()),
        }
    check(not begun, topic, f"letters without an end: {list(begun)}")


def hexed(value):
    return None if value is None else value.hex()


def main():
    bootstrap, source, *topics = sys.argv[1:]
    found = {}
    for topic in topics:
        for letter in letters(bootstrap, topic):
            other = found.setdefault(letter["origin"], {}).setdefault(topic, letter)
            check(other is letter, letter["where"], f"{other['where']} is of the same record")
            check(letter["said"]["topic"] == source, letter["where"], f"is of {letter['said']['topic']}")
    for message in records(bootstrap, source):
        origin = (message.partition(), message.offset())
        for topic, letter in found.pop(origin, {}).items():
            came = (message.key(), message.value(), message.headers() or [], message.timestamp())
            check(letter["kept"] == came, letter["where"], f"{letter['kept']} was {came}")
            check(letter["partition"] == origin[0], letter["where"], f"came from partition {origin[0]}")
            line = {"topic": topic, "partition": origin[0], "offset": origin[1], "reason": letter["said"]["reason"]}
            line |= {"key": hexed(came[0]), "value": hexed(came[1]), "parts": letter["parts"]}
            print(json.dumps(line))
    check(not found, source, f"letters of records that it does not have: {found}")


main()
