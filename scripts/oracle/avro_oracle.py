#!/usr/bin/env python3
"""Says of Avro bodies whether fastavro reads them as one whole record.

Reads lines from standard input, answers each `body` with `accept` or `refuse`:

    schema JSON     the schema of the bodies that follow
    body HEX        a body, without the registry's frame

fastavro leaves what stands behind a record, so its position is compared with the length.
"""

import io
import json
import sys

import fastavro


def main() -> None:
    schema = None
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "schema":
            schema = fastavro.parse_schema(json.loads(rest))
            continue
        body = bytes.fromhex(rest)
        reader = io.BytesIO(body)
        try:
            fastavro.schemaless_reader(reader, schema, None)
            verdict = reader.tell() == len(body)
        except Exception:  # Whatever it raises, it has not read a record.
            verdict = False
        print("accept" if verdict else "refuse")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
