/** ls, stat, top, prune and doctor: what they show, and that looking changes nothing. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, lines, MAIN, listed, segmentsNamed, start, uniqueName, until } from './command';

const name = uniqueName('listing');
const queue = `shm:${name}`;
afterAll(() => expect(segmentsNamed(name)).toEqual([]));

const jsonOf = async (...args: string[]): Promise<unknown> => JSON.parse((await command(args)).stdout.toString());

test('ls --json and stat --json show a queue, and looking leaves it as it is', async () => {
  await command(['put', queue, '--maxsize', '10'], 'a\nb\nc\n');
  const segments = (await jsonOf('ls', '--json')) as { name: string }[];
  expect(segments.find((segment) => segment.name === name)).toEqual({
    uri: queue,
    name,
    queueType: 'shm',
    queueId: name,
    bytes: expect.any(Number),
    qsize: 3,
    maxsize: 10,
    attached: [],
    shutDown: false,
    layoutVersion: expect.any(Number),
    createdTimestamp: expect.any(Number),
  });
  expect(await jsonOf('stat', queue, '--json')).toMatchObject({
    queueType: 'shm',
    qsize: 3,
    maxsize: 10,
    putTotal: 3,
    getTotal: 0,
    attached: [],
  });
  expect((await command(['ls'])).stdout.toString()).toMatch(new RegExp(`^${queue} +3 +10 .*nobody attached$`, 'm'));
  expect((await command(['stat', queue])).stdout.toString()).toMatch(/^items +3 of at most 10$/m);
  const top = await command(['top', '--interval-ms', '10', '--count', '2']);
  expect(top.status).toBe(0);
  // The second picture has rates.
  expect(top.stdout.toString()).toMatch(
    new RegExp(`^${queue} +3 +30% +\\S+ +0/0 +0 +0 +0 B +10 +0 +nobody attached$`, 'm'),
  );
  expect(lines(await command(['get', queue]))).toEqual(['a', 'b', 'c']);
});

test('what is listed leads to the queue, also in a namespace and where users share it', async () => {
  const sharing = { maxsize: 5, enable_multi_tenant: false };
  const places = [{ namespace: 'first' }, { namespace: 'second' }, sharing, { ...sharing, namespace: 'first' }, {}];
  for (const [index, metadata] of places.entries()) {
    const descriptor = JSON.stringify({ queue_id: name, queue_type: 'sage_queue', metadata });
    expect((await command(['put', descriptor], `${index}\n`)).status).toBe(0);
  }
  const segments = (await jsonOf('ls', '--json')) as { name: string; uri: string }[];
  const uris = segments.filter((segment) => segment.name === name).map(({ uri }) => uri);
  expect(new Set(uris).size).toBe(places.length);
  expect(uris).toContain(`sage:${name}`);
  const got: string[] = [];
  for (const uri of uris) got.push(...lines(await command(['get', uri])));
  expect(got.sort()).toEqual(['0', '1', '2', '3', '4']);
});

test('prune removes an empty queue whose last process was killed, with --dry-run it only says so', async () => {
  const { child, outcome } = start(['get', queue, '--follow', '--create']);
  await until('it is attached', async () => (await listed(queue))?.attached.some(({ alive }) => alive) === true);
  expect(await jsonOf('prune', '--dry-run', '--json')).not.toContainEqual(expect.objectContaining({ name }));
  child.kill('SIGKILL');
  await outcome;
  expect(await jsonOf('prune', '--dry-run', '--json')).toContainEqual(expect.objectContaining({ name, uri: queue }));
  expect(segmentsNamed(name)).toHaveLength(1);
  const doctor = (await jsonOf('doctor', '--json')) as { ok: boolean; findings: { check: string; type?: string }[] };
  expect(doctor.findings).toContainEqual(
    expect.objectContaining({ check: 'left-over', status: 'advice', type: 'sage-queue prune' }),
  );
  expect((await command(['rm', queue])).status).toBe(0);
  expect(segmentsNamed(name)).toEqual([]);
});

test('rm removes a queue with its items', async () => {
  await command(['put', queue], 'a\n');
  expect(await command(['rm', queue])).toMatchObject({ status: 0, stderr: '', stdout: Buffer.alloc(0) });
  expect((await command(['get', queue])).status).toBe(1);
});

test('what doctor says to type is what a shell takes, for a queue that only a descriptor names too', async () => {
  const env = { SAGE_QUEUE_DIR: mkdtempSync(join(tmpdir(), 'doctor-')) };
  try {
    const metadata = { namespace: 'doctor' };
    const descriptor = JSON.stringify({ queue_id: name, queue_type: 'sage_queue', metadata });
    const put = start(['put', descriptor], env);
    put.child.stdin.end('left\n');
    expect((await put.outcome).status).toBe(0);
    const doctor = start(['doctor', '--json'], env);
    const { findings } = JSON.parse((await doctor.outcome).stdout.toString()) as { findings: Record<string, string>[] };
    const [typed] = findings.find(({ found }) => found!.startsWith('items wait'))!.type!.split('   (');
    const shell = `sage-queue() { '${process.execPath}' '${MAIN}' "$@"; }; ${typed!}`.replaceAll(
      'sage-queue',
      'sage_queue',
    );
    expect(execFileSync('sh', ['-c', shell], { env: { ...process.env, ...env } }).toString()).toBe('left\n');
  } finally {
    rmSync(env.SAGE_QUEUE_DIR, { recursive: true });
  }
});

test('doctor names Node, libc, addon and /dev/shm, and ends with status 1 where a segment is damaged', async () => {
  const file = join('/dev/shm', `sage-queue+shm+${name}`);
  writeFileSync(file, Buffer.alloc(8192, 0xff), { mode: 0o600 });
  try {
    const outcome = await command(['doctor', '--json']);
    expect(outcome.status).toBe(1);
    const report = JSON.parse(outcome.stdout.toString()) as {
      ok: boolean;
      findings: { check: string; found: string }[];
    };
    expect(report.ok).toBe(false);
    const checks = report.findings.map(({ check }) => check);
    expect(checks).toEqual(
      expect.arrayContaining(['node', 'libc', 'addon', '/dev/shm', 'queues', 'RemoveIPC', 'namespaces']),
    );
    expect(report.findings).toContainEqual(
      expect.objectContaining({ check: 'unreadable', status: 'wrong', type: expect.stringContaining(file) }),
    );
    const text = await command(['doctor']);
    expect(text.stdout.toString()).toMatch(/^wrong .*unreadable/m);
    expect(text.stdout.toString()).toContain(`type: rm '${file}'`);
    expect((await command(['ls'])).stderr).toContain(name);
  } finally {
    rmSync(file);
  }
});

test('doctor without an addon says what to type', async () => {
  const { outcome } = start(['doctor', '--json'], { SAGE_QUEUE_ADDON: '/nonexistent.node' });
  const { status, stdout } = await outcome;
  expect(status).toBe(1);
  expect(JSON.parse(stdout.toString())).toMatchObject({
    ok: false,
    findings: expect.arrayContaining([
      expect.objectContaining({ check: 'addon', status: 'wrong', type: 'unset SAGE_QUEUE_ADDON' }),
    ]),
  });
});
