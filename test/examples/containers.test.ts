/**
 * The two programs of examples/containers, each in pid, mount, ipc, net and user namespaces of its own over a read-only root, as
 * compose.yaml has them.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APART } from '../shm/child';
import { containersArePossible } from '../shm/containers';

const FOLDER = join(__dirname, '../../examples/containers');
const queues = mkdtempSync(join(tmpdir(), 'sage-queue-containers-'));
afterAll(() => rmSync(queues, { recursive: true }));

/** The root can only be read there, and the directory of queues written. */
const READ_ONLY =
  'mount --bind "$1" "$1" && mount -o remount,ro,bind / && ! touch /tmp/written 2>/dev/null && exec "$2" "$3"';

interface Container {
  process: ChildProcess;
  said(): string[];
  ended: Promise<number | null>;
}

function container(program: string, jobs: number): Container {
  const command = [...APART, 'sh', '-c', READ_ONLY, 'sh', queues, process.execPath, join(FOLDER, program)];
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SAGE_QUEUE_DIR: queues, JOBS: String(jobs) },
  });
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { process: child, said: () => text.trimEnd().split('\n'), ended };
}

const test = containersArePossible ? global.test : global.test.skip;

test('two containers do all the jobs, whichever comes first, and leave nothing', async () => {
  for (const order of [
    ['producer.mjs', 'consumer.mjs'],
    ['consumer.mjs', 'producer.mjs'],
  ]) {
    const started = order.map((program) => container(program, 100));
    expect(await Promise.all(started.map(({ ended }) => ended))).toEqual([0, 0]);
    const said = Object.fromEntries(order.map((program, index) => [program, started[index]!.said()]));
    expect(said['producer.mjs']).toEqual(['100 jobs are done']);
    expect(said['consumer.mjs']).toEqual(['consumes', 'did 100 jobs, whose numbers come to 5050']);
    expect(readdirSync(queues)).toEqual([]);
  }
}, 60_000);

test('a container that is killed is replaced by another one, which goes on', async () => {
  const producer = container('producer.mjs', 5000);
  const first = container('consumer.mjs', 0);
  await once(first.process.stdout!, 'data');
  first.process.kill('SIGKILL');
  const second = container('consumer.mjs', 0);
  expect(await producer.ended).toBe(0);
  expect(await second.ended).toBe(0);
  expect(await first.ended).not.toBe(0);
  expect(producer.said()).toEqual(['5000 jobs are done']);
  expect(second.said().at(-1)).toMatch(/^did \d+ jobs/);
  expect(readdirSync(queues)).toEqual([]);
}, 60_000);

global.test('the guide shows the files as they are', () => {
  const guide = readFileSync(join(__dirname, '../../docs/containers.md'), 'utf8');
  for (const file of ['compose.yaml', 'pod.yaml']) {
    expect(guide).toContain(
      `\`\`\`yaml of=examples/containers/${file}\n${readFileSync(join(FOLDER, file), 'utf8')}\`\`\``,
    );
  }
});
