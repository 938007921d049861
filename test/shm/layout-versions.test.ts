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

  test('it was made in an earlier boot of the system, as ls and doctor say', () => {
    expect(listSegments().find(({ name }) => name === 'golden')).toMatchObject({ earlierBoot: true });
    expect(command('doctor')).toMatch(/earlier boot +made before this system was started: shm:golden/);
  });

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

/** The header with a change, under a checksum that is right: FNV-1a of everything else in it. */
function header(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(golden(2));
  change(bytes);
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.concat([bytes.subarray(0, CHECKSUM), bytes.subarray(CHECKSUM + 8, HEADER_BYTES)])) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  bytes.writeBigUInt64LE(hash, CHECKSUM);
  return bytes;
}
const [COMPATIBLE, INCOMPATIBLE, BOOT_ID, CHECKSUM, HEADER_BYTES] = [56, 60, 184, 256, 2312];

describe('what a later release may add to version 2', () => {
  afterEach(() => rmSync(file, { force: true }));
  const attach = (): ReturnType<typeof attachToShmQueue> => attachToShmQueue(undefined, 'golden');

  test('a compatible feature that is not known changes nothing', async () => {
    writeFileSync(
      file,
      header((bytes) => bytes.writeUInt32LE(0x80000001, COMPATIBLE)),
      { mode: 0o600, flag: 'wx' },
    );
    const queue = attach();
    expect((await queue.getMany(10)).map(String)).toEqual(['item 1', 'item 2', 'item 3', 'item 4']);
    queue.unlinkSync();
    queue.closeSync();
  });

  test('an incompatible one is refused by its bits, with the way out, and the segment stays as it is', () => {
    const bytes = header((words) => words.writeUInt32LE(0x80000001, INCOMPATIBLE));
    writeFileSync(file, bytes, { mode: 0o600, flag: 'wx' });
    const said = /features that this build does not know \(0x80000001\).*Use the release of sage-queue that made it/s;
    expect(attach).toThrow(
      expect.objectContaining({ code: 'ERR_SEGMENT_VERSION', message: expect.stringMatching(said) }),
    );
    for (const call of [['ls'], ['doctor'], ['rm', 'shm:golden']]) expect(command(...call)).toMatch(said);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test('a segment that does not say in which boot it was made, and one of this boot, are of no earlier one', () => {
    const here = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '');
    for (const half of [
      ['0', '0'],
      [here.slice(0, 16), here.slice(16)],
    ]) {
      const bytes = header((words) => half.forEach((text, index) => words.writeBigUInt64LE(BigInt(`0x${text}`), BOOT_ID + 8 * index))); // prettier-ignore
      writeFileSync(file, bytes, { mode: 0o600 });
      expect(listSegments().find(({ name }) => name === 'golden')).not.toHaveProperty('earlierBoot');
    }
  });

  test('what this release makes says in which boot', () => {
    const queue = resolveDescriptor(QueueDescriptor.createShmQueue(undefined, 'golden'));
    const here = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '');
    const written = [0, 8].map((at) =>
      readFileSync(file)
        .readBigUInt64LE(BOOT_ID + at)
        .toString(16)
        .padStart(16, '0'),
    );
    expect(written.join('')).toBe(here);
    queue.closeSync();
  });
});
