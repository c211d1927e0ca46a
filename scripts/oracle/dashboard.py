#!/usr/bin/env python3
"""Asks a Prometheus everything that a Grafana dashboard asks, as Grafana would: template variables get the values that the
server has, $__rate_interval and its like are put in, range queries and instant ones, annotations too.

Prints one JSON object: {title, start, end, rows: [{title, y}], panels: [{panel, results: [{legend, expr, series}]}]};
annotations come as panels of type "annotation". Series are as Prometheus answers them. Fails, with every reason, on a refused query, on a variable
that the dashboard does not define and on one that has no value. An empty answer is no failure: the caller knows better.

usage: dashboard.py DASHBOARD.json URL [--range SECONDS] [--step SECONDS]"""
import argparse
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

args = argparse.ArgumentParser()
args.add_argument('dashboard')
args.add_argument('url')
args.add_argument('--range', type=int, default=300)
args.add_argument('--step', type=int, default=5)
args = args.parse_args()
dashboard = json.load(open(args.dashboard))
now = time.time()
span = {'start': now - args.range, 'end': now}
# Grafana's: four scrape intervals at least; here one second each.
values = {'__rate_interval': f'{max(4 * args.step, 10)}s', '__interval': f'{args.step}s', '__range': f'{args.range}s'}
problems = []


def ask(path, **query):
    url = args.url + path + '?' + urllib.parse.urlencode(query)
    try:
        return json.load(urllib.request.urlopen(url, timeout=30))
    except urllib.error.HTTPError as refused:
        return json.loads(refused.read())


def put_in(text):
    def value(match):
        name = match.group(1) or match.group(2)
        if name not in values:
            raise KeyError(f'variable ${name} is not defined')
        return values[name]

    return re.sub(r'\$\{(\w+)(?::\w+)?\}|\$(\w+)', value, text)


def variable(it):
    if it['type'] != 'query':
        return str(it.get('current', {}).get('value') or it.get('query', ''))
    query = put_in(it['query']['query'])
    form = re.fullmatch(r'label_values\((?:(.*),\s*)?(\w+)\)', query)
    if not form:
        raise KeyError(f'a query of another form: {query}')
    match = {'match[]': form.group(1)} if form.group(1) else {}
    found = ask(f'/api/v1/label/{form.group(2)}/values', **match, **span).get('data')
    if not found:
        raise KeyError(f'no value: {query}')
    # as Grafana puts several in: name by name, not "all"
    return '|'.join(re.escape(one).replace('\\', '\\\\') for one in found)


def answer(panel, target):
    try:
        expr = put_in(target['expr'])
    except KeyError as unknown:
        problems.append(f"{panel['title']}: {unknown}")
        return None
    if target.get('instant'):
        said = ask('/api/v1/query', query=expr, time=now)
    else:
        said = ask('/api/v1/query_range', query=expr, step=args.step, **span)
    if said['status'] != 'success':
        problems.append(f"{panel['title']}: {expr}: {said.get('error')}")
        return None
    return {'legend': target.get('legendFormat', ''), 'expr': expr, 'series': said['data']['result']}


for it in dashboard['templating']['list']:
    try:
        values[it['name']] = variable(it)
    except KeyError as why:
        problems.append(f"variable {it['name']}: {why}")

shown = [it for it in dashboard['panels'] if it['type'] != 'row']
shown += [{**it, 'title': it['name'], 'type': 'annotation', 'targets': [it]} for it in dashboard['annotations']['list']]
panels = []
for panel in shown:
    results = [answer(panel, target) for target in panel['targets']]
    panels.append({'panel': panel, 'results': [result for result in results if result]})
if problems:
    sys.exit('\n'.join(problems))
rows = [{'title': it['title'], 'y': it['gridPos']['y']} for it in dashboard['panels'] if it['type'] == 'row']
print(json.dumps({'title': dashboard['title'], **span, 'rows': rows, 'panels': panels}))
