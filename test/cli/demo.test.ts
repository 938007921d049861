/** The main job: the outcome of many processes is that of one, also when a worker is killed in the middle; where it is not, it is told. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findSource } from '../../lib/cli/demo/records';
import { command, expectOneLine, segmentsNamed, start, until } from './command';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-demo-'));
afterAll(() => rmSync(directory, { recursive: true }));

interface Report {
  ok: boolean;
  records: number;
  batches: number;
  killed: number;
  redelivered: number;
  duplicates: number;
  groups: { key: string; records: number; sum: number; mean: number; min: number; max: number }[];
}

const AROUND_ITALY = ['IT', 'FR', 'MC', 'CH', 'LI', 'AT', 'SI', 'HR', 'SM', 'VA', 'MT', 'TN', 'ME', 'AL'];

/** A field that is only read: nothing is worked out for each record. */
const QUICK = ['--value', 'lat'];

async function demo(...args: string[]): Promise<{ status: number | null; stderr: string; report: Report }> {
  const { child, outcome } = start(['demo', '--json', ...args]);
  const { status, stdout, stderr } = await outcome;
  expect(segmentsNamed(`demo-${child.pid}-`)).toEqual([]);
  return { status, stderr, report: JSON.parse(stdout.toString()) as Report };
}

test.each(['shm', 'sage_queue', 'rpc'])(
  '%s: the real data set, at least 100 000 records',
  async (type) => {
    const { status, stderr, report } = await demo('--type', type, ...QUICK);
    expect({ status, stderr, ok: report.ok }).toEqual({ status: 0, stderr: '', ok: true });
    expect(report.records).toBeGreaterThanOrEqual(100_000);
    expect(report.groups.length).toBeGreaterThan(200);
  },
  60_000,
);

test('the work that is worth handing out: what it gives, and how much faster than in one process', async () => {
  // Nothing but what lies around Italy: all places take minutes where there are few cores.
  const { file, group, value } = findSource(undefined, undefined, undefined, true);
  expect({ group, value }).toEqual({ group: 'country', value: 'km abroad' });
  const places = JSON.parse(readFileSync(file, 'utf8')) as { country: string }[];
  const around = join(directory, 'around-italy.json');
  writeFileSync(around, JSON.stringify(places.filter(({ country }) => AROUND_ITALY.includes(country))));
  const { status, stdout, stderr } = await command(['demo', '--file', around, '--group', group, '--value', value!]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const text = stdout.toString();
  expect(text).toMatch(/^\d+\.\d\d times as fast as one process, on \d+ cores$/m);
  // In Italy everything lies near a border, some of it within two kilometres.
  expect(text).toMatch(/^IT +10,\d{3} +1\d\d\.\d{3} +[01]\.\d{3} +3\d\d\.\d{3}$/m);
  expect(text).toMatch(/one process: yes$/m);
}, 120_000);

test.each(['shm', 'sage_queue', 'rpc'])(
  '%s: a killed worker costs nothing and counts nothing twice',
  async (type) => {
    const { status, report } = await demo('--type', type, '--kill-a-worker', ...QUICK);
    expect({ status, ok: report.ok, killed: report.killed }).toEqual({ status: 0, ok: true, killed: 1 });
    expect(report.redelivered).toBeGreaterThanOrEqual(2);
    expect(report.duplicates).toBeGreaterThanOrEqual(1);
  },
  60_000,
);

test('any file: CSV with quotes, and NDJSON, give what one computes by hand', async () => {
  const csv = join(directory, 'small.csv');
  writeFileSync(csv, 'town,"mm ""rain"""\r\n"Ulm, upper",1.5\r\n"Ulm, upper",-0.5\nJena,\nJena,7');
  const expected = [
    { key: 'Jena', records: 2, values: 1, sum: 7, mean: 7, min: 7, max: 7 },
    { key: 'Ulm, upper', records: 2, values: 2, sum: 1, mean: 0.5, min: -0.5, max: 1.5 },
  ];
  const fromCsv = await demo('--file', csv, '--group', 'town', '--value', 'mm "rain"', '--batch', '1');
  expect(fromCsv).toMatchObject({ status: 0, report: { ok: true, batches: 4, groups: expected } });
  const ndjson = join(directory, 'small.ndjson');
  writeFileSync(
    ndjson,
    [1.5, -0.5].map((v) => JSON.stringify({ town: 'Ulm, upper', v })).join('\n') +
      '\n{"town":"Jena"}\n{"town":"Jena","v":7}\n',
  );
  const fromJson = await demo('--file', ndjson, '--group', 'town', '--value', 'v');
  expect(fromJson).toMatchObject({ status: 0, report: { ok: true, batches: 1, groups: expected } });
});

test('a group without a single number is equal to that of one process', async () => {
  const file = join(directory, 'no-number.ndjson');
  writeFileSync(file, '{"town":"Ulm","v":1}\n{"town":"Jena","v":"none"}\n');
  const { status, stderr, report } = await demo('--file', file, '--group', 'town', '--value', 'v');
  expect({ status, stderr, ok: report.ok }).toEqual({ status: 0, stderr: '', ok: true });
  expect(report.groups).toContainEqual({
    key: 'Jena',
    records: 1,
    values: 0,
    sum: 0,
    mean: null,
    min: null,
    max: null,
  });
});

test('too few batches for a worker to be killed: it is told', async () => {
  const file = join(directory, 'few.ndjson');
  writeFileSync(file, '{"town":"Ulm"}\n{"town":"Jena"}\n');
  const { status, stderr, report } = await demo('--file', file, '--group', 'town', '--kill-a-worker');
  expect({ status, ok: report.ok, killed: report.killed }).toEqual({ status: 0, ok: true, killed: 0 });
  expectOneLine(stderr, /no worker was killed.*of the 1 batches.*--batch/);
});

test('no records at all take no time', async () => {
  const file = join(directory, 'empty.ndjson');
  writeFileSync(file, '');
  const { status, report } = await demo('--file', file, '--group', 'town');
  expect(status).toBe(0);
  expect(report).toMatchObject({ ok: true, records: 0, seconds: 0, recordsPerSecond: 0 });
});

test('a batch that somebody takes away makes the outcome differ: status 1', async () => {
  const running = start(['demo', '--batch', '5', '--workers', '1', ...QUICK]);
  const queue = `shm:demo-${running.child.pid}-records`;
  await until('the queue is there', () => segmentsNamed(`demo-${running.child.pid}-records`).length === 1);
  const stolen = await command(['get', queue, '--count', '1']);
  expect(stolen.status).toBe(0);
  const { status, stdout, stderr } = await running.outcome;
  expect(status).toBe(1);
  expect(stderr).toMatch(/^sage-queue: the processes counted .* the outcomes differ\.\n$/);
  expect(stdout.toString()).toMatch(/one process: NO$/m);
}, 60_000);

test.each(['SIGINT', 'SIGKILL'] as const)(
  '%s to the parent leaves neither processes nor queues behind',
  async (signal) => {
    const { child, outcome } = start(['demo', '--batch', '1', '--workers', '3', ...QUICK]);
    const queues = `demo-${child.pid}-`;
    const childrenOf = (pid: number): number[] =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
    const putTotal = async (): Promise<number> => {
      const { stdout, status } = await command(['stat', `shm:${queues}records`, '--json']);
      return status === 0 ? (JSON.parse(stdout.toString()) as { putTotal: number }).putTotal : 0;
    };
    await until('items flow', async () => (await putTotal()) > 0, 30_000);
    const children = childrenOf(child.pid!);
    expect(children).toHaveLength(5);
    child.kill(signal);
    const { status } = await outcome;
    expect(status).toBe(signal === 'SIGINT' ? 130 : null);
    const lives = (pid: number): boolean => {
      try {
        // A zombie that nobody reaps has ended too.
        return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
      } catch {
        return false;
      }
    };
    await until('the children are gone', () => !children.some(lives));
    await until('the queues are gone', () => segmentsNamed(queues).length === 0);
  },
  60_000,
);

test('a file without the field, and one that is broken', async () => {
  const broken = join(directory, 'broken.ndjson');
  writeFileSync(broken, '{"a":1}\n{"a":\n');
  const syntax = await command(['demo', '--file', broken, '--group', 'a']);
  expect(syntax.status).toBe(1);
  expect(syntax.stderr).toMatch(/^sage-queue: .*broken\.ndjson cannot be used: line 2 is not JSON.*\n$/);
  const fine = join(directory, 'fine.ndjson');
  writeFileSync(fine, '{"a":1}\n');
  const field = await command(['demo', '--file', fine, '--group', 'b']);
  expect(field.status).toBe(2);
  expect(field.stderr).toMatch(/^sage-queue: No record has the field 'b'.*\n$/);
});
