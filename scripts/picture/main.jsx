// The dashboard as Grafana's own panel components draw it (@grafana/ui), from what its queries were answered by a real
// Prometheus: window.__DATA__ is what scripts/oracle/dashboard.py printed. Not Grafana itself: no menu, no variables, and
// panels of the types that the dashboard has.
import React, { useMemo } from 'react';
import { createRoot } from 'react-dom/client';
import {
  applyFieldOverrides, createTheme, dateTime, FieldConfigOptionsRegistry, FieldType, formattedValueToString,
  getDisplayProcessor, ThemeContext, toDataFrame,
} from '@grafana/data';
import { BigValue, BigValueColorMode, BigValueGraphMode, GlobalStyles, InteractiveTable, PanelChrome, PortalContainer, TimeSeries } from '@grafana/ui';

const shown = window.__DATA__;
const theme = createTheme({ colors: { mode: 'dark' } });
const range = { from: dateTime(shown.start * 1000), to: dateTime(shown.end * 1000), raw: { from: 'now-3m', to: 'now' } };
const COLUMNS = 24, WIDTH = 1600, ROW = 30, GAP = 8, TOP = 52;

const legendOf = (result, series) =>
  result.legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => series.metric[label] ?? '') || 'value';

// Nothing where a step has no value, as Grafana's data source for Prometheus does it: no line leads over a gap.
function withGaps(points) {
  const step = Math.min(...points.slice(1).map(([at], i) => at - points[i][0]));
  return points.flatMap((point, i) => (i && point[0] - points[i - 1][0] > 1.5 * step
    ? [[points[i - 1][0] + step, null], point] : [point]));
}

const number = (value) => (value !== null && Number.isFinite(Number(value)) ? Number(value) : null);

// One frame a series, with the panel's units, colours and thresholds.
function framesOf({ panel, results }) {
  const frames = results.flatMap((result) => result.series.map((series) => {
    const points = withGaps(series.values || [series.value]);
    return toDataFrame({ fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000) },
      { name: 'Value', type: FieldType.number, labels: series.metric, values: points.map(([, value]) => number(value)),
        config: { displayNameFromDS: legendOf(result, series) } },
    ] });
  }));
  const defaults = { color: { mode: 'palette-classic' }, ...panel.fieldConfig.defaults };
  defaults.custom = { axisPlacement: 'auto', showPoints: 'never', ...defaults.custom };
  const drawn = applyFieldOverrides({ data: frames, fieldConfig: { defaults, overrides: [] }, theme, timeZone: 'utc',
    replaceVariables: (text) => text, fieldConfigRegistry: new FieldConfigOptionsRegistry() });
  let index = 0;
  for (const field of drawn.flatMap((frame) => frame.fields)) {
    field.config = { ...defaults, ...field.config, custom: { ...defaults.custom, ...field.config.custom } };
    if (field.type === FieldType.number) field.state = { ...field.state, seriesIndex: index++ };
    field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
  }
  return drawn;
}

function Stat({ panel, frame, width, height }) {
  const [time, value] = frame.fields;
  return <BigValue value={value.display(value.values.at(-1))} theme={theme} width={width} height={height}
    colorMode={panel.options.colorMode || BigValueColorMode.Value} graphMode={BigValueGraphMode.Area}
    sparkline={{ y: value, x: time, timeRange: range }} />;
}

// The queries' answers side by side, a row for each set of labels: what the transformations `merge` and `organize` do.
function Rows({ panel, results }) {
  const names = Object.values(panel.transformations.find((it) => it.id === 'organize').options.renameByName);
  const rows = new Map();
  results.forEach((result, column) => result.series.forEach((series) => {
    const key = JSON.stringify(series.metric);
    const row = rows.get(key) || { id: key, ...series.metric };
    row[names[column]] = Number(series.value[1]);
    rows.set(key, row);
  }));
  const unit = (name) => {
    const own = panel.fieldConfig.overrides.find((it) => it.matcher.options === name);
    const config = { ...panel.fieldConfig.defaults, ...(own && { unit: own.properties[0].value, decimals: own.properties[1].value }) };
    return getDisplayProcessor({ field: { type: FieldType.number, config, values: [] }, theme, timeZone: 'utc' });
  };
  const format = (row) => Object.fromEntries(Object.entries(row).map(([name, value]) =>
    [name, typeof value === 'number' ? formattedValueToString(unit(name)(value)) : value]));
  const [sort] = panel.options.sortBy;
  const sorted = [...rows.values()].sort((a, b) => b[sort.displayName] - a[sort.displayName]).slice(0, 5);
  const columns = ['group', 'topic', 'partition', ...names].map((name) => ({ id: name, header: name }));
  return <InteractiveTable columns={columns} data={sorted.map(format)} getRowId={(row) => row.id} pageSize={0} />;
}

function Panel({ it, width, height }) {
  const { panel } = it;
  const frames = useMemo(() => framesOf(it), [it]);
  return <PanelChrome title={panel.title} description={panel.description} width={width} height={height}
    padding={panel.type === 'table' ? 'none' : 'md'}>
    {(w, h) => {
      if (!frames.length) return <div style={{ color: theme.colors.text.secondary, textAlign: 'center', paddingTop: h / 2 - 10 }}>No data</div>;
      if (panel.type === 'stat') return <Stat panel={panel} frame={frames[0]} width={w} height={h} />;
      if (panel.type === 'table') return <Rows panel={panel} results={it.results} />;
      return <TimeSeries frames={frames} width={w} height={h} timeRange={range} timeZone="utc" structureRev={1}
        legend={{ calcs: [], ...panel.options.legend }} options={{}} />;
    }}
  </PanelChrome>;
}

function Dashboard() {
  const unit = (WIDTH - GAP) / COLUMNS;
  const panels = shown.panels.filter(({ panel }) => panel.gridPos);
  const bottom = Math.max(...panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  return <ThemeContext.Provider value={theme}>
    <GlobalStyles /><PortalContainer />
    <div id="dashboard" style={{ position: 'relative', width: WIDTH, height: TOP + bottom * ROW + GAP, background: theme.colors.background.canvas }}>
      <div style={{ padding: '14px 16px', fontSize: 18, color: theme.colors.text.primary }}>{shown.title}</div>
      {shown.rows.map(({ title, y }) => <div key={title} style={{ position: 'absolute', left: 2 * GAP, top: TOP + y * ROW,
        fontSize: 15, fontWeight: 500, color: theme.colors.text.primary }}>{title}</div>)}
      {panels.map((it) => {
        const { x, y, w, h } = it.panel.gridPos;
        const [width, height] = [w * unit - GAP, h * ROW - GAP];
        return <div key={it.panel.id} style={{ position: 'absolute', left: GAP + x * unit, top: TOP + y * ROW, width, height }}>
          <Panel it={it} width={width} height={height} /></div>;
      })}
    </div>
  </ThemeContext.Provider>;
}

createRoot(document.getElementById('root')).render(<Dashboard />);
setTimeout(() => { window.__READY__ = true; }, 1500);
