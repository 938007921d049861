/** Figures of a results file in the pages that have some beside their text, between marks. */
import { ratios, summary } from './harness/statistics.mjs';

/** Between `<!-- figures … -->` and `<!-- /figures -->`. */
export function betweenMarks(text, figures) {
  const marked = /(<!-- figures[^>]*-->\n)[\s\S]*?(<!-- \/figures -->)/;
  if (!marked.test(text)) throw new Error('The page has no marks for figures.');
  return text.replace(marked, (_all, begin, end) => `${begin}\n${figures}\n\n${end}`);
}

const runsOf = (report, suite, contender) =>
  report.suites.find(({ id }) => id === suite)?.results.find(({ name }) => name === contender)?.runs;

/** Messages per second. */
function rate(report, suite, contender) {
  const runs = runsOf(report, suite, contender);
  if (runs === undefined) throw new Error(`The results have no ${contender} of ${suite}: run that suite, too.`);
  return summary(runs.map(({ value }) => value)).median;
}

const micros = (perSecond) => `${(1e6 / perSecond).toFixed(perSecond > 1e5 ? 2 : 1)} µs`;

const machineOf = ({ machine, date, rounds }) =>
  `${machine.cores} cores of an ${machine.cpu}, Linux ${/^\d+\.\d+/.exec(machine.kernel)[0]}, Node ${machine.node.replace('v', '')}, ${date.slice(0, 10)}, median of ${rounds} alternating runs`;

/** The README's: a message beside what one would take instead. */
export function readmeFigures(report) {
  const row = (what, suite, own, peer, called) => {
    const perSecond = rate(report, suite, own);
    const times = summary(ratios(runsOf(report, suite, own), runsOf(report, suite, peer))).median;
    return `| ${what} | ${micros(perSecond)} (${(perSecond / 1e6).toFixed(2)} million a second) | ${called} takes ${Math.round(times)} times as long |`;
  };
  return [
    '| two processes | a message takes | beside |',
    '| --- | --- | --- |',
    row('64-byte Buffers, `putSync` and `getSync`', 'bytes-64', 'sage_queue/sync', 'unix_socket', 'a unix socket'),
    row(
      'objects of five fields, `putSync` and `getSync`',
      'objects',
      'sage_queue/sync',
      'child_process/json',
      '`child_process.send`',
    ),
    row('64-byte Buffers, `await put` and `await get`', 'bytes-64', 'sage_queue/await', 'unix_socket', 'a unix socket'),
    '',
    `\`npm run bench -- --only bytes-64,objects\` on ${machineOf(report)}.`,
  ].join('\n');
}

/** The guide's: what one message takes by which call. */
export function callFigures(report) {
  const calls = [
    ['`await put`, `await get`', 'sage_queue/await'],
    ['`putSync`, `getSync`', 'sage_queue/sync'],
    ['`putSync`, `getSync`, with a schema', 'sage_queue/schema'],
    ['`putManySync`, `getManySync` of 64', 'sage_queue/batch'],
    ['`claimSync`, `consumeSync`', 'sage_queue/claim'],
  ];
  const works = [
    ['64 bytes', 'bytes-64'],
    ['object of five fields', 'objects'],
    ['64 KiB', 'bytes-65536'],
  ];
  return [
    `| a message takes | ${works.map(([title]) => title).join(' | ')} |`,
    `| --- |${' --- |'.repeat(works.length)}`,
    ...calls
      .map(([call, contender]) => ({
        call,
        cells: works.map(([, suite]) => runsOf(report, suite, contender) && micros(rate(report, suite, contender))),
      }))
      .filter(({ cells }) => cells.some(Boolean))
      .map(({ call, cells }) => `| ${call} | ${cells.map((cell) => cell ?? '').join(' | ')} |`),
    '',
    `One producer process and one consumer process, both busy; \`npm run bench -- --only bytes,objects\` on ${machineOf(report)}.`,
  ].join('\n');
}
