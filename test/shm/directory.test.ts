/** Where segments lie: SAGE_QUEUE_DIR of each process, on file systems that can do it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, constants, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QueueDescriptor } from '../../lib';
import { describeQueue, isRoot, root, run, start, types } from './child';
import type { StartOptions } from './child';

let folder = '';
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'sage-queue-dir-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const inside = (directory: string): StartOptions => ({ env: { SAGE_QUEUE_DIR: directory } });

function fresh(name: string): string {
  const directory = join(folder, name);
  mkdirSync(directory);
  return directory;
}

describe.each(types)('%s', (type) => {
  test('queues of two directories are two queues, each with its waiters', async () => {
    const descriptor = describeQueue(type);
    const [one, two] = [fresh(`${type}-one`), fresh(`${type}-two`)] as const;
    const waiting = [one, two].map((directory) =>
      start(
        `(async () => { const queue = open(); const got = queue.get(); while (fs.readdirSync(given[0]).length < 2) await new Promise(setImmediate); say(fs.readdirSync(given[0]).length); say([await got]); queue.closeSync(); })();`,
        descriptor,
        [directory],
        inside(`${directory}/`),
      ),
    );
    for (const child of waiting) expect(await child.next()).toBe(2); // the segment and the doorbell
    const put = `const queue = open({ create: 'never' }); queue.putSync(given[0]); queue.closeSync();`;
    await run(put, descriptor, ['for two'], inside(two));
    expect(await waiting[1]!.next()).toEqual(['for two']);
    await run(put, descriptor, ['for one'], inside(one));
    expect(await waiting[0]!.next()).toEqual(['for one']);
    for (const child of waiting) await child.clean();
    expect([one, two].flatMap((directory) => readdirSync(directory))).toEqual([]);
  });

  test('a queue on disk outlives every process that had it, however that ended', async () => {
    const descriptor = describeQueue(type, type === 'sage_queue' ? { autoCleanup: false } : {});
    const directory = fresh(`${type}-disk`);
    const victim = start(
      `const queue = open(); queue.putManySync(['leased', 'there']); const lease = queue.leaseSync(); queue.get().catch(() => {}); say(lease.item); hear();`,
      descriptor,
      [],
      inside(directory),
    );
    expect(await victim.next()).toBe('leased');
    await victim.kill();
    const rest = `const queue = open({ create: 'never' }); const lease = queue.leaseSync(); say([lease.item, lease.deliveries]); lease.ackSync(); queue.unlinkSync(); queue.closeSync(); say(fs.readdirSync(given[0]));`;
    expect(await run(rest, descriptor, [directory], inside(directory))).toEqual([['leased', 2], []]);
  });

  test('a queue on disk of before the system was started again: what was in hand comes again, and nobody is waited for', async () => {
    // What a start leaves of a file: its bytes, and not one lock. So does a copy of it, made while all are at it.
    const before = fresh(`${type}-before`);
    const after = fresh(`${type}-after`);
    const descriptor = describeQueue(type, { maxsize: 4, ...(type === 'sage_queue' ? { autoCleanup: false } : {}) });
    // A thousand seconds ahead, since that clock begins anew.
    const late = { ...inside(before), wrapper: ['unshare', '--time', '--fork', '--monotonic', '1000'] };
    const holder = start(
      `const queue = open(); queue.putManySync(['leased', 'two', 'three', 'four']); const lease = queue.leaseSync(); say(lease.item); hear();`,
      descriptor,
      [],
      isRoot ? late : inside(before),
    );
    expect(await holder.next()).toBe('leased');
    const waiters = [`queue.putSync('never in')`, `queue.put('never in').catch(() => {})`].map((call) =>
      start(`const queue = open(); ${call};`, descriptor, [], isRoot ? late : inside(before)),
    );
    const look = `(async () => { const queue = open({ create: 'never' }); while ((await queue.stats()).waitingPutters < 2) await new Promise(setImmediate); queue.closeSync(); })();`;
    await run(look, descriptor, [], inside(before));
    for (const file of readdirSync(before)) {
      // A pipe with nobody at it, and the segment.
      if (file.startsWith('sage-queue-bell+')) execFileSync('mkfifo', [join(after, file)]);
      else copyFileSync(join(before, file), join(after, file), constants.COPYFILE_EXCL);
    }
    expect(readdirSync(after)).toHaveLength(2);
    const rest = `(async () => {
      const queue = open({ create: 'never' });
      const { attached, recovered, waitingPutters, leased } = await queue.stats();
      say({ attached: attached.length, recovered, waitingPutters, leased });
      say(fs.readdirSync(given[0]).length);
      const lease = queue.leaseSync(); say([lease.item, lease.deliveries, lease.crashes]); lease.ackSync();
      for (let count = 0; count < 100; count++) { queue.putSync(count); queue.getSync(); }
      say(queue.qsizeSync()); queue.unlinkSync(); queue.closeSync();
    })();`;
    expect(await run(rest, descriptor, [after], inside(after))).toEqual([
      { attached: 1, recovered: 3, waitingPutters: 0, leased: 0 },
      1,
      ['leased', 2, 1],
      3,
    ]);
    expect(readdirSync(after)).toEqual([]);
    for (const child of [holder, ...waiters]) await child.kill();
  });

  test.each([
    ['a relative path', 'here', /absolute path/],
    ['a directory that is not there', '/does/not/exist', /no such directory/],
    ['another file system', '/proc', /file system is/],
  ])('%s is ERR_SEGMENT_UNSUPPORTED, with the reason', async (_what, directory, reason) => {
    const [code, message] = await run(
      `try { open(); } catch (error) { say(error.code); say(error.message); }`,
      describeQueue(type),
      [],
      inside(directory),
    );
    expect(code).toBe('ERR_SEGMENT_UNSUPPORTED');
    expect(message).toMatch(reason);
  });
});

test('a directory that is not sticky and belongs to one user serves that user alone', async () => {
  if (!isRoot) return;
  const directory = fresh('private');
  chmodSync(directory, 0o700);
  chmodSync(folder, 0o755);
  const [code] = await run(`try { open(); } catch (error) { say(error.code); }`, describeQueue('shm'), [], {
    ...inside(directory),
    uid: 54321,
  });
  expect(code).toBe('ERR_SEGMENT_PERMISSION');
});

test('auto: the same directory is the same queue, another one of the same file system is not', async () => {
  const [one, two] = [fresh('auto-one'), fresh('auto-two')] as const;
  const [text] = await run(
    `say(JSON.stringify(sq.QueueDescriptor.createAutoQueue('auto-directories')));`,
    null,
    [],
    inside(one),
  );
  const type = `(async () => { try { const queue = open(); say((await queue.stats()).queueType); queue.closeSync(); } catch (error) { say(error.code); } })();`;
  const descriptor = QueueDescriptor.fromJSON(text as string);
  expect(await run(type, descriptor, [], inside(one))).toEqual(['sage_queue']);
  expect(await run(type, descriptor, [], inside(two))).toEqual(['ERR_QUEUE_CONNECTION']);
  if (!isRoot) return;
  // Who is not of its container does not make it, and finds it once it is there.
  const apart = { ...inside(one), wrapper: ['unshare', '--pid', '--fork', '--mount-proc'] };
  expect(await run(type, descriptor, [], apart)).toEqual(['ERR_QUEUE_NOT_FOUND']);
  const owner = start(`const queue = open(); say(1); hear(); queue.closeSync();`, descriptor, [], inside(one));
  await owner.next();
  expect(await run(type, descriptor, [], apart)).toEqual(['sage_queue']);
  await owner.tell('end').clean();
});

test('doctor names the directory and its file system', () => {
  const directory = fresh('doctor');
  const found = execFileSync(process.execPath, ['dist/cli/main.js', 'doctor', '--json'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, SAGE_QUEUE_DIR: directory },
  });
  const { findings } = JSON.parse(found) as { findings: { check: string; found: string }[] };
  expect(findings.find(({ check }) => check === directory)?.found).toMatch(/^(ext4|overlay|xfs|btrfs|tmpfs), .* free/);
  expect(findings.find(({ check }) => check === 'namespaces')?.found).toMatch(/pid namespace/);
});
