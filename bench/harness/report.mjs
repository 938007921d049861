/** Tables on the terminal. */
import { WIDE, isWide, quantile, ratios, summary } from './statistics.mjs';

/** One line that is overwritten; none where nobody looks. */
export function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

export function formatValue(value, unit) {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (unit === 'µs') return `${value < 100 ? value.toFixed(1) : Math.round(value)} µs`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M/s`;
  if (value >= 1e3) return `${(value / 1e3).toFixed(1)} k/s`;
  return `${value.toFixed(0)} /s`;
}

/** Figures of every order of magnitude. */
export const formatCost = (value, unit) =>
  `${value.toFixed(value === 0 || value >= 100 ? 0 : value < 1 ? 3 : 1)}${unit === '' ? '' : ` ${unit}`}`;

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, column) => (column === 0 ? String(cell).padEnd(widths[0]) : String(cell).padStart(widths[column])))
        .join('  '),
    );
  }
}

export function printMachine({ command, date, machine, rounds, warmMs, measureMs }) {
  console.log(
    `${command}\n${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ${machine.distribution}`,
  );
  console.log(
    `Node ${machine.node}, sage-queue ${machine.package} at ${machine.commit ?? 'no commit'}; pinned: ${machine.pinned}; load ${machine.loadAtStart.join(' ')}; ` +
      `${rounds} rounds, each run ${warmMs} ms to warm up and ${measureMs} ms measured`,
  );
}

const REFERENCE = ['unix_socket', 'native/spsc_ring'];

export function printSuite({ title, unit, measure, results, skipped, failures }) {
  console.log(`\n## ${title}`);
  const reference = results.find(({ name }) => REFERENCE.includes(name));
  const latency = measure === 'round-trip';
  const rows = [
    [
      '',
      'median',
      'q1',
      'q3',
      ...(latency ? ['mean', 'p99', 'p99.9'] : ['CPU/message, busier side', 'of all']),
      `ratio to ${reference?.name ?? '-'}`,
      '(q1…q3)',
    ],
  ];
  for (const result of results) {
    const { median, q1, q3 } = summary(result.runs.map(({ value }) => value));
    const middle = (key) =>
      quantile(
        result.runs.map((run) => run[key]),
        0.5,
      );
    const ratio = reference === undefined ? undefined : summary(ratios(result.runs, reference.runs));
    rows.push([
      result.name,
      formatValue(median, unit),
      formatValue(q1, unit),
      formatValue(q3, unit),
      ...(latency
        ? ['mean', 'p99', 'p999'].map((key) => formatValue(middle(key), 'µs'))
        : ['cpuMicros', 'groupMicros'].map((key) =>
            result.runs[0][key] === undefined ? '' : `${middle(key).toFixed(2)} µs`,
          )),
      ratio === undefined ? '' : ratio.median.toFixed(2),
      `${ratio === undefined ? '' : `${ratio.q1.toFixed(2)}…${ratio.q3.toFixed(2)}`}${isWide({ median, q1, q3 }) ? ' wide' : ''}`,
    ]);
  }
  table(rows);
  if (rows.some((row) => row.at(-1).endsWith('wide'))) {
    console.log(
      `wide: the quartiles of the runs lie further apart than ${WIDE * 100} % of the median; trust the ratios before the figures`,
    );
  }
  for (const { name, cure } of skipped) console.log(`skipped: ${name}; to have it: ${cure}`);
  for (const { name, round, message } of failures)
    console.log(`FAILED: ${name}, round ${round + 1}: ${message.split('\n').slice(0, 3).join(' ')}`);
}

export function printCosts(costs) {
  console.log('\n## Costs of having a queue');
  table([
    ['', 'median', 'q1', 'q3'],
    ...costs.map(({ title, unit, values }) => {
      const { median, q1, q3 } = summary(values);
      return [title, ...[median, q1, q3].map((value) => formatCost(value, unit))];
    }),
  ]);
}

export function printGrowth(tables) {
  for (const { title, counts, lines } of tables) {
    console.log(`\n## ${title}`);
    table([
      ['', ...counts.map(String)],
      ...lines.map(({ name, unit, values }) => [name, ...values.map((one) => formatCost(summary(one).median, unit))]),
    ]);
  }
}

export function printTargets(targets, suites) {
  const outcomes = [];
  for (const target of targets) {
    const suite = suites.find(({ id }) => id === target.suite);
    const subject = suite?.results.find(({ name }) => name === target.subject);
    const reference = suite?.results.find(({ name }) => name === target.reference);
    if (subject === undefined || reference === undefined) continue;
    const ratio = summary(ratios(subject.runs, reference.runs, target.of));
    const reached = target.atLeast !== undefined ? ratio.median >= target.atLeast : ratio.median <= target.atMost;
    outcomes.push({ ...target, ratio, reached });
  }
  if (outcomes.length === 0) return outcomes;
  console.log('\n## To reach');
  table([
    ['', 'against', 'asked', 'median ratio', '(q1…q3)', ''],
    ...outcomes.map(({ line, reference, atLeast, atMost, ratio, reached }) => [
      line,
      reference,
      atLeast !== undefined ? `≥ ${atLeast}` : `≤ ${atMost}`,
      ratio.median.toFixed(2),
      `${ratio.q1.toFixed(2)}…${ratio.q3.toFixed(2)}`,
      reached ? 'reached' : 'NOT reached',
    ]),
  ]);
  return outcomes;
}
