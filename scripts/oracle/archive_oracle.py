"""Reads an archive as a stranger does: with fastavro and nothing of ours.

usage: archive_oracle.py FOLDER

Walks FOLDER/TOPIC_ID/PARTITION/*.avro in the order of the names and prints one line of JSON for each entry, then one with
the totals. Checks on the way, and ends with 1 and a reason: each name is the first offset of its file and the one behind
the last of the file before; each file carries the SHA-256 of the one before; offsets rise and lie within their file; the
number of entries is the one that the header says. Anything else that lies there, but `.unfinished`, is an error too.
"""

import datetime
import decimal
import hashlib
import json
import pathlib
import sys
import uuid

import fastavro


def plain(value):
    match value:
        case bytes():
            return {"bytes": value.hex()}
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
    raise TypeError(f"no JSON for {value!r}")


def check(held, path, what):
    if not held:
        sys.exit(f"{path}: {what}")


def chain(folder):
    topic_id, partition = folder.parent.name, folder.name
    previous, behind, entries = None, None, 0
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        with path.open("rb") as file:
            reader = fastavro.reader(file)
            said = {k.removeprefix("ordermill."): v for k, v in reader.metadata.items() if k.startswith("ordermill.")}
            first, last = int(said["first"]), int(said["last"])
            check(path.name == f"{first:020}.avro", path, f"says that it begins at {first}")
            check(behind in (None, first), path, f"begins at {first}, and the one before ends before {behind}")
            check(said.get("previous") == previous, path, f"names {said.get('previous')} before it, not {previous}")
            check((said["topic_id"], said["partition"]) == (topic_id, partition), path, f"is of {said}")
            count, at, ids = 0, first - 1, set()
            for entry in reader:
                check(at <= entry["offset"] <= last, path, f"has {entry['offset']} behind {at}")
                check(str(entry["partition"]) == partition, path, f"has an entry of {entry['partition']}")
                at, count = entry["offset"], count + 1
                ids.add(str(entry["schema_id"]))
                print(json.dumps(entry, default=plain))
            check(count == int(said["entries"]), path, f"has {count} entries and says {said['entries']}")
            check(set(filter(None, said["schema_ids"].split(","))) == ids, path, f"has schemas {ids}")
        previous, behind, entries = hashlib.sha256(raw).hexdigest(), last + 1, entries + count
    return {"partition": int(partition), "next": behind, "entries": entries, "objects": len(list(folder.iterdir()))}


def main():
    root = pathlib.Path(sys.argv[1])
    topics = sorted(path for path in root.iterdir() if path.name != ".unfinished")
    chains = [chain(folder) for topic in topics for folder in sorted(topic.iterdir())]
    print(json.dumps({"chains": chains}))


main()
