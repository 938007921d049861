/**
 * node bench/plots.mjs [FILE]: bar charts of a results file (default: bench/results/reference.json) as SVG into docs/benchmarks/, its
 * tables into docs/benchmarks.md, and the figures of README and guides. They carry their own colours for light and dark.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatCost, formatValue } from './harness/report.mjs';
import { summary } from './harness/statistics.mjs';
import { betweenMarks, callFigures, readmeFigures } from './pages.mjs';
import { sizePlot } from './size-plot.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const WIDTH = 760;
const LEFT = 210;
const RIGHT = 150;
const ROW = 26;
const TOP = 66;
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const STYLE = `
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .small { font-size: 11px; fill: #59636e }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .own { fill: #0969da } .peer { fill: #8c959f } .spread { stroke: #1f2328; stroke-width: 1.5 }
  .paper { fill: #ffffff }
  .value { paint-order: stroke; stroke: #ffffff; stroke-width: 4 }
  .line { fill: none; stroke-width: 2 }
  .line0 { stroke: #0969da } .line1 { stroke: #8250df } .line2 { stroke: #57606a } .line3 { stroke: #bc4c00 }
  .point0 { fill: #0969da } .point1 { fill: #8250df } .point2 { fill: #57606a } .point3 { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
    .own { fill: #4493f8 } .peer { fill: #656c76 } .spread { stroke: #e6edf3 } .paper { fill: #0d1117 }
    .value { stroke: #0d1117 }
    .line0 { stroke: #4493f8 } .line1 { stroke: #ab7df8 } .line2 { stroke: #9198a1 } .line3 { stroke: #f0883e }
    .point0 { fill: #4493f8 } .point1 { fill: #ab7df8 } .point2 { fill: #9198a1 } .point3 { fill: #f0883e }
  }`;

/** Figures that lie orders of magnitude apart: the axis is logarithmic, one line per power of ten. */
function axis(values) {
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)) - 0.0001);
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values)) + 0.0001);
  const x = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * Math.log10(value / low)) / Math.log10(high / low);
  const ticks = [];
  for (let tick = low; tick <= high * 1.001; tick *= 10) ticks.push(tick);
  return { x, ticks };
}

function draw(report, suite) {
  const bars = suite.results
    .map(({ name, own, runs }) => ({ name, own, ...summary(runs.map(({ value }) => value)) }))
    .sort((a, b) => (suite.unit === 'µs' ? a.median - b.median : b.median - a.median));
  const { x, ticks } = axis(bars.flatMap(({ q1, q3 }) => [q1, q3]));
  const bottom = TOP + bars.length * ROW;
  const better = suite.unit === 'µs' ? 'shorter is better' : 'longer is better';
  const parts = [
    `<text x="16" y="24" class="title">${escape(suite.title)}</text>`,
    `<text x="16" y="42" class="small">median of ${suite.rounds} alternating runs, line: quartiles; logarithmic; ${better}</text>`,
  ];
  for (const tick of ticks) {
    const at = x(tick).toFixed(1);
    parts.push(`<line x1="${at}" y1="${TOP - 6}" x2="${at}" y2="${bottom}" class="grid"/>`);
    parts.push(
      `<text x="${at}" y="${bottom + 16}" class="small" text-anchor="middle">${formatValue(tick, suite.unit)
        .replace(/\.0+ ?/, ' ')
        .replace('.00', '')}</text>`,
    );
  }
  bars.forEach(({ name, own, median, q1, q3 }, index) => {
    const y = TOP + index * ROW;
    const middle = y + ROW / 2 - 3;
    parts.push(`<text x="${LEFT - 10}" y="${y + 15}" text-anchor="end">${escape(name)}</text>`);
    parts.push(
      `<rect x="${LEFT}" y="${y + 2}" width="${Math.max(1, x(median) - LEFT).toFixed(1)}" height="${ROW - 9}" rx="2" class="${own ? 'own' : 'peer'}"/>`,
    );
    parts.push(
      `<line x1="${x(q1).toFixed(1)}" y1="${middle + 1}" x2="${x(q3).toFixed(1)}" y2="${middle + 1}" class="spread"/>`,
    );
    parts.push(
      `<text x="${(Math.max(x(median), x(q3)) + 8).toFixed(1)}" y="${y + 15}" class="value">${formatValue(median, suite.unit)}</text>`,
    );
  });
  parts.push(`<text x="16" y="${bottom + 40}" class="small">${footer(report)}</text>`);
  return picture(suite.title, { parts, width: WIDTH, height: bottom + 54 });
}

const footer = ({ machine, date }) =>
  escape(
    `${machine.cpu}, ${machine.cores} cores, load ${machine.loadAtStart[0]} at the start; Node ${machine.node}; ${date.slice(0, 10)}`,
  );

const picture = (title, { parts, width, height }) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
<style>${STYLE}</style>
<rect width="${width}" height="${height}" class="paper"/>
${parts.join('\n')}
</svg>
`;

/** @param folder of the plots, relative to the text */
function tables(report, folder) {
  const { machine } = report;
  const lines = [
    `Measured ${report.date.slice(0, 10)} by \`${report.command}\` on ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ` +
      `Node ${machine.node}, nothing pinned, load average ${machine.loadAtStart.join(', ')} at the start. Median of ${report.rounds} alternating runs; in brackets the quartiles.`,
  ];
  const bracket = ({ q1, q3 }, format) => `(${format(q1)} … ${format(q3)})`;
  if (report.targets.length > 0) {
    lines.push('', '| work | against | asked | ratio within each round | |', '| --- | --- | --- | --- | --- |');
    for (const { line, reference, atLeast, atMost, ratio, reached } of report.targets) {
      const asked = atLeast !== undefined ? `≥ ${atLeast}` : `≤ ${atMost}`;
      const short = (value) => value.toFixed(2);
      lines.push(
        `| ${line} | ${reference} | ${asked} | ${short(ratio.median)} ${bracket(ratio, short)} | ${reached ? 'reached' : '**not reached**'} |`,
      );
    }
  }
  if (report.suites.filter(({ id }) => id.startsWith('size-')).length > 1) {
    lines.push('', '### By size', '', `![Bytes per second by size](${folder}sizes.svg)`);
  }
  for (const suite of report.suites) {
    const latency = suite.unit === 'µs';
    lines.push('', `### ${suite.title}`, '');
    if (suite.results.length > 1) lines.push(`![${suite.title}](${folder}${suite.id}.svg)`, '');
    lines.push(
      `| | median | ${latency ? 'mean | p99 | p99.9' : 'CPU per message: a producer + a consumer = all'} |`,
      `| --- | --- | --- |${latency ? ' --- | --- |' : ''}`,
    );
    for (const { title, runs } of suite.results) {
      const format = (value) => formatValue(value, suite.unit);
      const whole = summary(runs.map(({ value }) => value));
      const middle = (key) => summary(runs.map((run) => run[key])).median;
      const cpu =
        runs[0].producerMicros === undefined
          ? ''
          : `${middle('producerMicros').toFixed(2)} + ${middle('consumerMicros').toFixed(2)} = ${middle('groupMicros').toFixed(2)} µs`;
      const rest = latency ? ['mean', 'p99', 'p999'].map((key) => format(middle(key))).join(' | ') : cpu;
      lines.push(`| ${title} | ${format(whole.median)} ${bracket(whole, format)} | ${rest} |`);
    }
    for (const { name, cure } of suite.skipped) lines.push('', `Skipped: ${name} (${cure}).`);
    const failed = new Set(suite.failures.map(({ name }) => name));
    for (const name of failed)
      lines.push(
        '',
        `${name}: ${suite.failures.filter((one) => one.name === name).length} of ${suite.rounds} runs failed and are left out.`,
      );
  }
  if (report.costs !== undefined) {
    lines.push('', '### Costs of having a queue', '', '| | median | quartiles |', '| --- | --- | --- |');
    for (const { title, unit, values } of report.costs) {
      const short = (value) => formatCost(value, unit);
      const whole = summary(values);
      lines.push(`| ${title} | ${short(whole.median)} | ${short(whole.q1)} … ${short(whole.q3)} |`);
    }
  }
  for (const { title, counts, lines: costs } of report.growth ?? []) {
    lines.push('', `### ${title}`, '', `| | ${counts.join(' | ')} |`, `| --- |${' --- |'.repeat(counts.length)}`);
    for (const { name, unit, values } of costs) {
      lines.push(`| ${name} | ${values.map((one) => formatCost(summary(one).median, unit)).join(' | ')} |`);
    }
  }
  return lines.join('\n');
}

/** Name of a file and its text. */
function drawings(report) {
  const files = report.suites
    .filter(({ results }) => results.length > 1)
    .map((suite) => [`${suite.id}.svg`, draw(report, suite)]);
  const sizes = sizePlot(report.suites, footer(report));
  if (sizes !== undefined) files.push(['sizes.svg', picture('Bytes per second by size', sizes)]);
  return files;
}

function drawAll(report, folder) {
  mkdirSync(folder, { recursive: true });
  return drawings(report).map(([name, text]) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  });
}

/** Plots, and the tables as figures.md, beside each other. @returns the files */
export function writePlots(report, folder) {
  const files = drawAll(report, folder);
  const text = join(folder, 'figures.md');
  writeFileSync(text, `# Figures\n\n${tables(report, '')}\n`);
  return [...files, text];
}

/** The plots of the documentation, and the figures of every page between their marks. */
function writePages(report) {
  const pages = {
    '../docs/benchmarks.md': tables(report, 'benchmarks/'),
    '../README.md': readmeFigures(report),
    '../docs/guides/which-call-is-fast.md': callFigures(report),
  };
  const written = Object.entries(pages).map(([path, figures]) => {
    writeFileSync(here(path), betweenMarks(readFileSync(here(path), 'utf8'), figures));
    return here(path);
  });
  return [...drawAll(report, here('../docs/benchmarks')), ...written];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const report = JSON.parse(readFileSync(process.argv[2] ?? here('results/reference.json'), 'utf8'));
  console.log(writePages(report).join('\n'));
  console.log('Then: npx prettier --write README.md docs');
}
