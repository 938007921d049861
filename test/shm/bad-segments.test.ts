import { execFileSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { listSegments, pruneSegments, SegmentError } from '../../lib';
import { listUnreadableSegments } from '../../lib/transports/shm/segments';
import { seeded } from '../random';
import { attach, describeQueue, drain, isRoot, run, segmentFiles, SHM, start, types, until } from './child';
import type { NativeType } from './child';

const NOBODY = 65534;

/** What only root can set up; elsewhere one line says that it was not tried. */
function asRoot(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    if (isRoot) await body();
    else console.warn(`not root, so this was not tried: ${name}`);
  });
}

/** A whole segment with two items that nobody is attached to; its path. */
async function makeSegment(type: NativeType): Promise<{ descriptor: ReturnType<typeof describeQueue>; path: string }> {
  const descriptor = describeQueue(type, { capacityBytes: 65536, maxsize: 8 });
  const queue = attach(descriptor);
  queue.putManySync(['a', 'b']);
  const [file] = segmentFiles(String(descriptor.metadata.shm_name ?? descriptor.queueId));
  queue.closeSync();
  return { descriptor, path: join(SHM, file!) };
}

const overwrite = (path: string, offset: number, bytes: Uint8Array): void => {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
};

const damages: [string, string, (path: string) => void][] = [
  ['zeroed', 'ERR_SEGMENT_CORRUPT', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
  ['filled with 0xff', 'ERR_SEGMENT_CORRUPT', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size, 0xff))],
  ['empty', 'ERR_SEGMENT_CORRUPT', (path) => truncateSync(path, 0)],
  ['cut inside the header', 'ERR_SEGMENT_CORRUPT', (path) => truncateSync(path, 100)],
  ['cut inside the slots', 'ERR_SEGMENT_CORRUPT', (path) => truncateSync(path, 70_000)],
  ['one byte short', 'ERR_SEGMENT_CORRUPT', (path) => truncateSync(path, statSync(path).size - 1)],
  ['one byte longer', 'ERR_SEGMENT_CORRUPT', (path) => truncateSync(path, statSync(path).size + 1)],
  ['of a newer version', 'ERR_SEGMENT_VERSION', (path) => overwrite(path, 8, Buffer.from([99, 0, 0, 0]))],
  ['of version 0', 'ERR_SEGMENT_VERSION', (path) => overwrite(path, 8, Buffer.from([0, 0, 0, 0]))],
  // Header words: layout.h has the picture. A forged size fails the checksum.
  ['with a forged slot count', 'ERR_SEGMENT_CORRUPT', (path) => overwrite(path, 88, Buffer.alloc(8, 0x7f))],
  ['with a forged capacity', 'ERR_SEGMENT_CORRUPT', (path) => overwrite(path, 104, Buffer.alloc(8, 0x7f))],
  ['with a forged payload offset', 'ERR_SEGMENT_CORRUPT', (path) => overwrite(path, 160, Buffer.alloc(8, 0x7f))],
  ['with another magic', 'ERR_SEGMENT_CORRUPT', (path) => overwrite(path, 0, Buffer.from('notqueue'))],
  ['with impossible cursors', 'ERR_SEGMENT_CORRUPT', (path) => overwrite(path, 4096, Buffer.alloc(256, 0xff))],
  ['with zeroed cursors', 'ERR_SEGMENT_CORRUPT', (path) => overwrite(path, 4096, Buffer.alloc(384, 0))],
];

const attaching = `
  const outcomes = [];
  for (const create of ['if-missing', 'never', 'exclusive']) {
    try { open({ create }).closeSync(); outcomes.push('attached'); } catch (error) { outcomes.push([error instanceof sq.SegmentError, error.code, error.message.length > 40]); }
  }
  say(outcomes);`;

describe.each(types)('%s', (type) => {
  test.each(damages)('a segment that is %s gives %s', async (_what, code, damage) => {
    const { descriptor, path } = await makeSegment(type);
    damage(path);
    try {
      const [outcomes] = await run(attaching, descriptor);
      expect(outcomes).toEqual(Array(3).fill([true, code, true]));
      // Neither listing nor pruning stumbles over it, and pruning leaves it alone.
      const unreadable = listUnreadableSegments().find(({ file }) => path.endsWith(file));
      expect(unreadable?.error).toBeInstanceOf(SegmentError);
      expect((unreadable?.error as SegmentError).code).toBe(code);
      pruneSegments({ dryRun: true });
    } finally {
      unlinkSync(path);
    }
  });

  test.each([
    ['a directory', (path: string) => mkdirSync(path)],
    ['a symbolic link', (path: string) => symlinkSync('/etc/passwd', path)],
    ['a pipe', (path: string) => void execFileSync('mkfifo', [path])],
  ])('%s in its place is an error, not a hang', async (_what, make) => {
    const { descriptor, path } = await makeSegment(type);
    unlinkSync(path);
    make(path);
    try {
      const [outcomes] = await run(attaching, descriptor);
      for (const outcome of outcomes) expect(outcome.slice(0, 1)).toEqual([true]);
      listSegments();
    } finally {
      rmSync(path, { recursive: true });
    }
  });

  test('scribbled slots, leases and participants: an error or an answer, never a crash or a hang', async () => {
    const random = seeded(`scribble ${type}`);
    const { descriptor, path } = await makeSegment(type);
    const whole = readFileSync(path);
    unlinkSync(path);
    // Everything behind the header up to the payload, in words of 8 bytes.
    const payloadOffset = Number(whole.readBigUInt64LE(160));
    for (let round = 0; round < 25; round++) {
      const bytes = Buffer.from(whole);
      for (let count = 1 + random.below(40); count > 0; count--) {
        const offset = 4096 + 8 * random.below((payloadOffset - 4096) / 8);
        const kind = random.below(3);
        if (kind === 0) bytes.writeBigUInt64LE(0n, offset);
        else if (kind === 1) bytes.fill(0xff, offset, offset + 8);
        else for (let at = 0; at < 8; at++) bytes[offset + at] = random.below(256);
      }
      writeFileSync(path, bytes);
      const child = start(
        `const outcomes = [];
        const attempt = (call) => { try { call(); outcomes.push('ok'); } catch (error) { outcomes.push(error.code ?? String(error)); } };
        let queue;
        attempt(() => { queue = open({ create: 'never' }); });
        if (queue) {
          attempt(() => queue.peekSync());
          attempt(() => queue.getManySync(8, { timeoutMs: 20 }));
          attempt(() => queue.putSync('x', { timeoutMs: 20 }));
          attempt(() => queue.leaseSync({ timeoutMs: 20 }));
          attempt(() => queue.getSync({ timeoutMs: 20 }));
          attempt(() => queue.qsizeSync());
          attempt(() => queue.closeSync());
        }
        sq.listSegments();
        say(outcomes);`,
        descriptor,
      );
      const [outcomes] = await child.clean();
      for (const outcome of outcomes) expect(outcome).toMatch(/^(ok|ERR_(SEGMENT|QUEUE|ITEM)_[A-Z_]+)$/);
      rmSync(path, { force: true });
    }
  });

  asRoot('a segment of another owner, or for another user, gives ERR_SEGMENT_PERMISSION', async () => {
    const { descriptor, path } = await makeSegment(type);
    const refused = Array(3).fill([true, 'ERR_SEGMENT_PERMISSION', true]);
    // Another user comes.
    expect(await run(attaching, descriptor, [], { uid: NOBODY })).toEqual([refused]);
    // Another user's file with our header in it.
    chownSync(path, NOBODY, NOBODY);
    expect(await run(attaching, descriptor)).toEqual([refused]);
    unlinkSync(path);
    // Nobody creates a queue in another user's name.
    if (type === 'sage_queue') {
      const owned = { ...descriptor.toJSON(), metadata: { ...descriptor.metadata, owner_uid: 0 } };
      expect(await run(`try { open(); } catch (error) { say(error.code); }`, owned, [], { uid: NOBODY })).toEqual(['ERR_SEGMENT_PERMISSION']); // prettier-ignore
    }
    expect(segmentFiles(String(descriptor.metadata.shm_name ?? descriptor.queueId))).toEqual([]);
  });

  asRoot('with a mode that says so, another user shares the queue', async () => {
    const descriptor = describeQueue(type, {
      mode: 0o666,
      ...(type === 'sage_queue' ? { enableMultiTenant: false } : {}),
    });
    const queue = attach(descriptor);
    const [file] = segmentFiles(String(descriptor.metadata.shm_name ?? descriptor.queueId));
    expect(statSync(join(SHM, file!)).mode & 0o777).toBe(0o666);
    const peer = start(
      `(async () => { const queue = open({ create: 'never' }); say(await queue.get()); queue.putSync('from another user'); queue.closeSync(); })();`,
      descriptor,
      [],
      { uid: NOBODY },
    );
    await until('it waits', async () => (await queue.stats()).waitingGetters === 1);
    queue.putSync('to another user');
    expect(await peer.next()).toBe('to another user');
    expect(await queue.get({ timeoutMs: 5000 })).toBe('from another user');
    await peer.clean();
    // The other user may not write into this one's pipe, and comes when this one waits already.
    const waiting = queue.get({ timeoutMs: 5000 });
    await run(`const queue = open({ create: 'never' }); queue.putSync('later'); queue.closeSync();`, descriptor, [], {
      uid: NOBODY,
    });
    expect(await waiting).toBe('later');
    queue.closeSync();
  });

  test('a segment is private unless asked', async () => {
    const { path, descriptor } = await makeSegment(type);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const queue = attach(descriptor);
    drain(queue);
    queue.closeSync();
  });

  test('listing and pruning: live ones stay, items stay unless asked, the dead are no hindrance', async () => {
    const live = describeQueue(type);
    const child = start(`const queue = open(); say(1); hear(); queue.closeSync();`, live);
    await child.next();
    const { descriptor: kept } = await makeSegment(type);
    const empty = describeQueue(type, type === 'sage_queue' ? { autoCleanup: false } : {});
    const victim = start(`const queue = open(); say(1); hear();`, empty);
    await victim.next();
    await victim.kill();
    const nameOf = ({ metadata, queueId }: typeof live): string => String(metadata.shm_name ?? queueId);
    const mine = new Set([live, kept, empty].map(nameOf));
    const info = (name: string) => listSegments().find((segment) => segment.name === name);
    expect(info(nameOf(live))).toMatchObject({ queueType: type, qsize: 0, attached: [{ pid: child.pid, alive: true }], shutDown: false }); // prettier-ignore
    expect(info(nameOf(kept))).toMatchObject({ qsize: 2, maxsize: 8, attached: [], layoutVersion: 2 });
    expect(info(nameOf(empty))?.attached.every(({ alive }) => !alive)).toBe(true);
    const names = (pruned: ReturnType<typeof pruneSegments>): string[] => pruned.map(({ name }) => name).filter((name) => mine.has(name)); // prettier-ignore
    // Other files of this suite run at the same time: nothing of theirs is removed.
    expect(names(pruneSegments({ dryRun: true }))).toEqual([nameOf(empty)]);
    expect(names(pruneSegments({ dryRun: true, includeNonEmpty: true })).sort()).toEqual(
      [nameOf(kept), nameOf(empty)].sort(),
    );
    for (const one of mine)
      expect(names(pruneSegments({ match: ({ name }) => name === one }))).toEqual(one === nameOf(empty) ? [one] : []);
    expect(info(nameOf(empty))).toBeUndefined();
    child.tell('end');
    await child.clean();
    const queue = attach(kept, { create: 'never' });
    expect(drain(queue)).toEqual(['a', 'b']);
    queue.closeSync();
  });
});

/** A child's own /dev/shm, of 4 MiB. */
const smallShm = ['unshare', '-m', 'sh', '-c', `mount -t tmpfs -o size=4m none ${SHM} && exec "$@"`, 'sh'];

/** Elsewhere one line says that it was not tried. */
function withSmallShm(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    try {
      execFileSync(smallShm[0]!, [...smallShm.slice(1), 'true'], { stdio: 'ignore' });
    } catch {
      if (process.env.CI === 'true') throw new Error('CI needs a private mount namespace, to try a small /dev/shm');
      console.warn(`no private mount namespace here, so this was not tried: ${name}`);
      return;
    }
    await body();
  });
}

test.each(types)('%s: a removal that nobody finished is finished by whoever lists segments', async (type) => {
  const { path } = await makeSegment(type);
  // The highest bit of `life`: retired, as its last leaver marks it before it takes the name away.
  overwrite(path, 4096 + 512 + 7, Buffer.from([0x80]));
  expect(listSegments().filter(({ name }) => path.endsWith(name))).toEqual([]);
  expect(existsSync(path)).toBe(false);
});

withSmallShm('a queue that fits once is made once by many at the same time', async () => {
  const lines = await run(
    `
    const { spawn } = require('node:child_process');
    // Each reserves room for a queue of its own before one of them gives it the name, and two do not fit. Nobody closes before all
    // have it open, nor opens before all have closed: otherwise two queues would be wanted at one time.
    const program = \`
      const sq = require('sage-queue');
      let queue;
      process.on('message', (round) => {
        if (queue === undefined) queue = sq.getSageQueue('q' + round, { capacityBytes: 2 ** 21, autoCleanup: true });
        else queue = queue.closeSync();
        process.send(round);
      });
    \`;
    const children = Array.from({ length: 4 }, () => spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }));
    const step = (round) => Promise.all(children.map((child) => new Promise((resolve) => { child.once('message', resolve); child.send(round); })));
    for (const child of children) {
      let stderr = '';
      child.stderr.on('data', (text) => (stderr += text));
      child.on('exit', (code) => { say([code, stderr.slice(0, 1000)]); if (code !== 0) process.exit(); });
    }
    (async () => {
      for (let round = 0; round < 40; round++) { await step(round); await step(round); }
      for (const child of children) child.disconnect();
    })();`,
    null,
    [],
    { wrapper: smallShm },
  );
  expect(lines).toEqual(Array(4).fill([0, '']));
});

withSmallShm('a sparse file of another user in a full /dev/shm ends nobody who lists, prunes or attaches', async () => {
  const lines = await run(
    `
    const queue = sq.getSageQueue('whole', { capacityBytes: 2 ** 20, autoCleanup: false });
    const [file] = fs.readdirSync('/dev/shm');
    queue.closeSync();
    const bytes = fs.readFileSync('/dev/shm/' + file);
    fs.unlinkSync('/dev/shm/' + file);
    // What can be told from the header alone is there; all the rest is a hole.
    for (const name of [file, file.replace('whole', 'other')]) {
      fs.writeFileSync('/dev/shm/' + name, bytes.subarray(0, 4096), { mode: 0o666 });
      fs.chmodSync('/dev/shm/' + name, 0o666);
      fs.truncateSync('/dev/shm/' + name, bytes.length);
    }
    fs.chownSync('/dev/shm/' + file.replace('whole', 'other'), 65534, 65534);
    try { fs.writeFileSync('/dev/shm/filler', Buffer.alloc(16 * 2 ** 20)); } catch (error) { say(error.code); }
    say(sq.listSegments().length);
    say(sq.pruneSegments({ includeNonEmpty: true }).length);
    for (const name of ['whole', 'other']) try { sq.getSageQueue(name); say('attached'); } catch (error) { say(error.code); }
    process.exit();`,
    null,
    [],
    { wrapper: smallShm },
  );
  expect(lines).toEqual(['ENOSPC', 0, 0, 'ERR_SEGMENT_CORRUPT', 'ERR_SEGMENT_PERMISSION']);
});

withSmallShm('a full /dev/shm gives ERR_SEGMENT_NO_SPACE with the cure, and leaves nothing', async () => {
  const lines = await run(
    `
    try { sq.attachToShmQueue(undefined, 'large', { capacityBytes: 64 * 2 ** 20 }); say('no error'); } catch (error) { say([error.code, /shm-size/.test(error.message), error instanceof sq.SegmentError]); }
    say(fs.readdirSync('/dev/shm'));
    const queues = [];
    try { for (;;) queues.push(sq.getSageQueue('q' + queues.length, { capacityBytes: 2 ** 20 })); } catch (error) { say([error.code, queues.length]); }
    // What was made before is whole: its memory was there from the start.
    for (const queue of queues) { queue.putSync(Buffer.alloc(2 ** 20 - 64, 7)); if (queue.getSync().length !== 2 ** 20 - 64) throw new Error('torn'); queue.closeSync(); }
    say(fs.readdirSync('/dev/shm'));`,
    null,
    [],
    { wrapper: smallShm },
  );
  expect(lines).toEqual([['ERR_SEGMENT_NO_SPACE', true, true], [], ['ERR_SEGMENT_NO_SPACE', expect.any(Number)], []]);
  expect(lines[2][1]).toBeGreaterThan(0);
});
