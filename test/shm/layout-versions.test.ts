/** A segment of an older layout: refused by name, left as it is, and named by everything that looks at segments. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { attachToShmQueue, resolveDescriptor, QueueDescriptor, SegmentError } from 'sage-queue';

const MAIN = join(__dirname, '../../dist/cli/main.js');
/** As commit 56a279c wrote it: the queue shm:golden of 16 items, four of them left, one of which was on lease. */
const content = gunzipSync(readFileSync(join(__dirname, '../fixtures/segment-layout-1.gz')));
const file = '/dev/shm/sage-queue+shm+golden';

beforeAll(() => writeFileSync(file, content, { mode: 0o600, flag: 'wx' }));
afterAll(() => {
  expect(readFileSync(file).equals(content)).toBe(true);
  rmSync(file);
});

const said = /layout version 1.*reads version 2.*[Dd]rain/s;

test.each(['if-missing', 'never', 'exclusive'] as const)('create: %s is refused, with the way out', (create) => {
  const attach = (): unknown => resolveDescriptor(QueueDescriptor.createShmQueue(undefined, 'golden'), { create });
  expect(attach).toThrow(SegmentError);
  expect(attach).toThrow(
    expect.objectContaining({ code: 'ERR_SEGMENT_VERSION', message: expect.stringMatching(said) }),
  );
});

test('another queue is not disturbed by it', () => {
  const queue = attachToShmQueue<string>(undefined, `beside-golden-${process.pid}`);
  queue.putSync('a');
  expect(queue.getSync()).toBe('a');
  queue.unlinkSync();
  queue.closeSync();
});

const command = (...args: string[]): string => {
  const outcome = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  return outcome.stdout + outcome.stderr;
};

test('ls, doctor and rm name it', () => {
  for (const call of [['ls'], ['doctor'], ['rm', 'shm:golden']]) {
    const output = command(...call);
    expect(output).toContain('sage-queue+shm+golden');
    expect(output).toMatch(said);
  }
  expect(() => execFileSync(process.execPath, [MAIN, 'rm', 'shm:golden'], { stdio: 'pipe' })).toThrow();
});
