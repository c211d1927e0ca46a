#!/usr/bin/env python3
"""Checks a Grafana dashboard's form: reads it with Grafana's own SDK and writes it again. A field that does not come back is
one that Grafana does not know; a value of the wrong type is refused. Prints what is wrong, a line each.

usage: dashboard_form.py DASHBOARD.json"""
import json
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

# Grafana's data source for Prometheus reads these of an annotation; the SDK's type of an annotation is of no data source.
BEYOND = {'step', 'titleFormat', 'textFormat'}


def compare(path, before, after, wrong):
    if isinstance(before, dict):
        for key, value in before.items():
            here = f'{path}.{key}'
            if value in (None, [], {}, '') or (path.startswith('$.annotations.') and key in BEYOND):
                continue
            if not isinstance(after, dict) or key not in after:
                wrong.append(f'{here} is unknown')
            else:
                compare(here, value, after[key], wrong)
    elif isinstance(before, list):
        for i, value in enumerate(before):
            other = after[i] if isinstance(after, list) and i < len(after) else None
            compare(f'{path}[{i}]', value, other, wrong)
    elif type(before) is not type(after):
        wrong.append(f'{path}: {before!r} became {after!r}')


plugins.register_default_plugins()
read = json.load(open(sys.argv[1]))
wrong = []
compare('$', read, json.loads(JSONEncoder().encode(Dashboard.from_json(read))), wrong)
if wrong:
    print('\n'.join(wrong))
    sys.exit(1)
