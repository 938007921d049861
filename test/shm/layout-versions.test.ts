/** Segments as each version of the layout has them, byte for byte: an older one is refused by name, and left as it is. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { attachToShmQueue, listSegments, resolveDescriptor, QueueDescriptor, SegmentError } from '../../lib';

const MAIN = join(__dirname, '../../dist/cli/main.js');
const file = '/dev/shm/sage-queue+shm+golden';
const golden = (version: number): Buffer =>
  gunzipSync(readFileSync(join(__dirname, `../fixtures/segment-layout-${version}.gz`)));
const command = (...args: string[]): string => {
  const outcome = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  return outcome.stdout + outcome.stderr;
};

describe('version 1, as commit 56a279c wrote it', () => {
  beforeAll(() => writeFileSync(file, golden(1), { mode: 0o600, flag: 'wx' }));
  afterAll(() => {
    expect(readFileSync(file).equals(golden(1))).toBe(true);
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

  test('ls, doctor and rm name it, and it stays', () => {
    for (const call of [['ls'], ['doctor'], ['rm', 'shm:golden']]) {
      const output = command(...call);
      expect(output).toContain('sage-queue+shm+golden');
      expect(output).toMatch(said);
    }
    expect(() => execFileSync(process.execPath, [MAIN, 'rm', 'shm:golden'], { stdio: 'pipe' })).toThrow();
  });
});

/**
 * Whoever changes what a word means without another version (or an incompatible feature) breaks this. A queue of 16 items in 4096
 * bytes, with a schema: "item 0" was put and taken, "item 1" put, leased and released, "item 2" to "item 4" put, all raw; then the only
 * handle was closed.
 */
describe('version 2', () => {
  beforeAll(() => writeFileSync(file, golden(2), { mode: 0o600, flag: 'wx' }));
  afterAll(() => rmSync(file, { force: true }));

  test('is listed, attached to, and emptied in order, with its counts', async () => {
    expect(listSegments().find(({ name }) => name === 'golden')).toMatchObject({
      qsize: 4,
      maxsize: 16,
      layoutVersion: 2,
      attached: [],
      shutDown: false,
    });
    const queue = attachToShmQueue<Buffer | { id: number }>(undefined, 'golden');
    expect(await queue.stats()).toMatchObject({ putTotal: 5, getTotal: 1, leased: 0, capacityBytes: 4096 });
    const batch = await queue.leaseMany(1);
    const seen = batch.leases.map(({ item, deliveries, crashes }) => [String(item), deliveries, crashes]);
    expect(seen).toEqual([['item 1', 2, 0]]);
    await batch.ack();
    expect((await queue.getMany(10)).map(String)).toEqual(['item 2', 'item 3', 'item 4']);
    for (let lap = 0; lap < 100; lap++) {
      queue.putSync({ id: lap });
      expect(queue.getSync()).toEqual({ id: lap });
    }
    queue.unlinkSync();
    queue.closeSync();
  });
});
