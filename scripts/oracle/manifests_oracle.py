"""Reads manifests as strictly as an API server does, by Kubernetes' own published schemas.

usage: manifests_oracle.py CRDS VERSION... <manifests.yaml

For each document on standard input: a kind of Kubernetes itself must fit the schema of each VERSION (such as 1.33), a
custom one that of its definition in the folder CRDS; unknown fields and keys that stand twice are errors, and so is a
kind that nobody knows. Ends with 1 when there is no document or something does not fit; then each error is a line on
standard error. What only a server can tell (defaults, cross-field rules) is not checked here.
"""

import json
import os
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

SCHEMAS = pathlib.Path(os.path.dirname(kubernetes_validate.__file__)) / "kubernetes-json-schema"


class Loader(yaml.CSafeLoader):
    """YAML in which no key stands twice."""


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.MarkedYAMLError(problem=f"key twice: {sorted(map(str, twice))}", problem_mark=node.start_mark)
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def native(version):
    """(apiVersion, kind) to schema, for one version of Kubernetes."""
    whole = json.loads((SCHEMAS / f"v{version}.0-local-strict" / "_definitions.json").read_text())
    defs = whole["$defs"]
    found = {}
    for name, schema in defs.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            api = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
            found[api, gvk["kind"]] = {"$ref": f"#/$defs/{name}", "$defs": defs}
    return found


def strict(schema):
    """Closes the objects of an OpenAPI schema: a field that has no schema is an error."""
    if not isinstance(schema, dict):
        return
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("anyOf", None)
        schema["type"] = ["integer", "string"]
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for part in ("items", "additionalProperties"):
        strict(schema.get(part))
    for part in schema.get("properties", {}).values():
        strict(part)


def custom(folder):
    found = {}
    for file in sorted(pathlib.Path(folder).glob("*.yaml")):
        spec = yaml.load(file.read_text(), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"] = {"type": "object"}
            strict(schema)
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def problems(document, schema, version):
    kind, name = document["kind"], document["metadata"]["name"]
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        at = ".".join(str(step) for step in error.absolute_path)
        yield f"{kind} {name} ({version}): {at}: {error.message[:300]}"


def main(crds, *versions):
    documents = [d for d in yaml.load_all(sys.stdin, Loader) if d is not None]
    customs = custom(crds)
    natives = {version: native(version) for version in versions}
    found = []
    for document in documents:
        kind = document.get("apiVersion"), document.get("kind")
        if kind in customs:
            found += problems(document, customs[kind], "CRD")
            continue
        for version, known in natives.items():
            if kind in known:
                found += problems(document, known[kind], version)
            else:
                found.append(f"Kubernetes {version} does not know {kind}")
    if not documents:
        found.append("there is no document")
    for problem in found:
        print(problem, file=sys.stderr)
    sys.exit(1 if found else 0)


if len(sys.argv) < 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
