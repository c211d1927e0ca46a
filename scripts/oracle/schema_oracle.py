#!/usr/bin/env python3
"""Checks YAML documents against a JSON Schema: what an editor would say of a file.

Reads {"schema": ..., "documents": {NAME: TEXT}} from standard input, writes {NAME: [what is wrong, ...]}. The YAML is
read as an editor's YAML 1.2 reads it: only true and false are bools, and a date is text.
"""

import json
import re
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML's core schema of 1.2 in the place of 1.1's."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+0123456789."),
]:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def main() -> None:
    asked = json.load(sys.stdin)
    schema = asked["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    found = {}
    for name, text in asked["documents"].items():
        document = yaml.load(text, Loader)
        found[name] = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
