/** `sage-queue demo` on a real cluster: Node processes and Ray tasks in Python on one data set, equal to the computation of one process. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { expectOneLine, start, until } from '../cli/command';
import type { Outcome } from '../cli/command';
import { rayAddress } from './cluster';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-ray-demo-'));
const client = new RayClient({ address: rayAddress() });
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await client.close();
});

const actorsOf = async (pid: number): Promise<string[]> =>
  (await client.listNamedActors()).map(({ name }) => name).filter((name) => name.startsWith(`demo-${pid}-`));

/** Its four child processes are there as well. */
async function underWay(pid: number): Promise<void> {
  const children = (): string[] => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  await until('the children are there', () => children().length === 4, 30_000);
  expect(await actorsOf(pid)).toHaveLength(2);
}

async function demo(...args: string[]): Promise<Outcome> {
  const { child, outcome } = start(['demo', ...args]);
  const ended = await outcome;
  expect(await actorsOf(child.pid!)).toEqual([]);
  return ended;
}

interface Report {
  readonly ok: boolean;
  readonly batches: number;
  readonly killed: number;
  readonly redelivered: number;
  readonly duplicates: number;
  readonly batchesByWorker: number[];
  readonly batchesByRayTask: number[];
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

test('ray_queue: the real data set, some of it by Ray tasks and some by Node processes', async () => {
  const { status, stdout, stderr } = await demo('--type', 'ray_queue', '--json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const report = JSON.parse(stdout.toString()) as Report;
  expect(report.ok).toBe(true);
  expect(sum(report.batchesByWorker)).toBeGreaterThan(0);
  expect(sum(report.batchesByRayTask)).toBeGreaterThan(0);
  expect(sum(report.batchesByWorker) + sum(report.batchesByRayTask)).toBe(report.batches);
}, 120_000);

test('ray_actor: a killed Node worker costs nothing and counts nothing twice', async () => {
  const { status, stdout } = await demo('--type', 'ray_actor', '--kill-a-worker', '--json');
  expect(status).toBe(0);
  const report = JSON.parse(stdout.toString()) as Report;
  expect(report).toMatchObject({ ok: true, killed: 1 });
  expect(report.redelivered).toBeGreaterThanOrEqual(2);
  expect(report.duplicates).toBeGreaterThanOrEqual(1);
}, 120_000);

test('Python reads, rounds and names as JavaScript does', async () => {
  const values = [
    0.5, -0.5, 2.5e-6, -2.5e-6, 0.4999999, 1e300, 123456789.0000005, '7', ' 8.5\n', '0x1f', '1e3', '.5', '5.', '', ' ',
    'Infinity', 'NaN', '1_000', '٣', true, null, [1], { a: 1 },
  ]; // prettier-ignore
  const groups = [
    'a', '', 1, 1.5, -0, 1e21, 1.25e21, 123456789012345680000, 1e-6, 1e-7, 1.5e-7, -1e-9, true, null, [1, null, [2, 'x']], { a: 1 }, '漢😀',
    2 ** 53, 0.1,
  ]; // prettier-ignore
  const file = join(directory, 'odd.ndjson');
  const records = groups.flatMap((group) => values.map((value) => ({ group, value })));
  writeFileSync(file, [...records, { value: 1 }, { group: 'a' }].map((record) => JSON.stringify(record)).join('\n'));
  const args = [
    '--type',
    'ray_queue',
    '--file',
    file,
    '--group',
    'group',
    '--value',
    'value',
    '--batch',
    '1',
    '--json',
  ];
  const { status, stdout, stderr } = await demo(...args, '--ray-tasks', '2', '--workers', '1');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const report = JSON.parse(stdout.toString()) as Report;
  expect(report.ok).toBe(true);
  expect(sum(report.batchesByRayTask)).toBeGreaterThan(report.batches / 10);
}, 120_000);

test.each(['SIGINT', 'SIGKILL'] as const)(
  '%s to the parent leaves no actors behind',
  async (signal) => {
    const { child, outcome } = start(['demo', '--type', 'ray_queue', '--batch', '20']);
    await underWay(child.pid!);
    child.kill(signal);
    expect((await outcome).status).toBe(signal === 'SIGINT' ? 130 : null);
    await until('the actors are gone', async () => (await actorsOf(child.pid!)).length === 0, 30_000);
  },
  90_000,
);

test('an actor that is killed under it ends the demo with an error', async () => {
  const { child, outcome } = start(['demo', '--type', 'ray_queue', '--batch', '20']);
  await underWay(child.pid!);
  await client.kill((await client.getActor(`demo-${child.pid}-records`))!);
  const { status, stderr } = await outcome;
  expect(status).toBe(1);
  expectOneLine(stderr, /died|no actor named|no longer an actor/);
  expect(await actorsOf(child.pid!)).toEqual([]);
}, 90_000);
