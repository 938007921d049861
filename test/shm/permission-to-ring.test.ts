/** Processes that the system keeps apart in ways which have nothing to do with the segment: whoever may write it can wake its waiters. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attach, describeQueue, drain, isRoot, now, segmentFiles, SHM, start, types } from './child';
import type { Child, NativeType, StartOptions } from './child';

const OTHER = 54321;
const find = (name: string): string | undefined =>
  ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((folder) => join(folder, name)).find(existsSync);
const setpriv = find('setpriv');
const setcap = find('setcap');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sage-queue-caps-'));
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** One line where something cannot be tried; an error in CI. */
function needs(what: boolean, name: string): boolean {
  if (what) return true;
  if (process.env.CI === 'true') throw new Error(`CI needs ${name}`);
  console.warn(`not tried: ${name}`);
  return false;
}

const waiter = `
  (async () => {
    const queue = open();
    given[0] && process.setuid(given[0]);
    say('attached'); hear();
    const got = queue.get({ timeoutMs: 10000 });
    say('waits');
    say([await got]);
    queue.closeSync();
  })();`;
const putter = `
  const queue = open();
  given[0] && process.setuid(given[0]);
  say('attached'); hear();
  queue.putSync('woken');
  hear();
  queue.closeSync();`;

type Role = { options?: StartOptions; setuid?: number };

/** Whether the one is woken by the other; for one type the waiter attaches first, for the other the putter does. */
async function wakes(type: NativeType, waits: Role, puts: Role, options: object = {}): Promise<void> {
  const descriptor = describeQueue(type, type === 'shm' ? options : { ...options, enableMultiTenant: false });
  const attachWaiter = async (): Promise<Child> => {
    const child = start(waiter, descriptor, [waits.setuid ?? null], waits.options);
    await child.next();
    return child;
  };
  const early = type === 'shm' ? await attachWaiter() : undefined;
  const ringer = start(putter, descriptor, [puts.setuid ?? null], puts.options);
  await ringer.next();
  const sleeper = early ?? (await attachWaiter());
  // It makes its doorbell only now, after whatever became of the other one's rights.
  await sleeper.tell('wait').next();
  const from = now();
  ringer.tell('put');
  expect(await sleeper.next()).toEqual(['woken']);
  expect(now() - from).toBeLessThan(2000);
  ringer.tell('end');
  await sleeper.clean();
  await ringer.clean();
  // Who gave up its rights could not remove what is root's.
  for (const file of segmentFiles()) rmSync(join(SHM, file));
}

describe.each(types)('%s', (type) => {
  const user: Role = { options: { uid: OTHER } };

  test('a process with ambient capabilities waits, and rings', async () => {
    if (!needs(isRoot && setpriv !== undefined, 'setpriv as root')) return;
    const capable: Role = {
      options: {
        wrapper: [setpriv!, `--reuid=${OTHER}`, `--regid=${OTHER}`, '--clear-groups', '--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service'], // prettier-ignore
      },
    };
    await wakes(type, capable, user);
    await wakes(type, user, capable);
  });

  test('a program with file capabilities waits, and rings', async () => {
    const node = join(folder, 'node');
    const able = isRoot && setcap !== undefined;
    if (!needs(able, 'setcap as root')) return;
    if (!existsSync(node)) {
      copyFileSync(process.execPath, node);
      chmodSync(node, 0o755);
      execFileSync(setcap!, ['cap_net_bind_service=+ep', node]);
    }
    // In the place of the plain one, which is the first word of the command.
    const capable: Role = { options: { uid: OTHER, wrapper: ['sh', '-c', `shift; exec ${node} "$@"`, 'sh'] } };
    await wakes(type, capable, user);
    await wakes(type, user, capable);
  });

  test('a process that gave up its rights after it attached waits, and rings', async () => {
    if (!needs(isRoot, 'root')) return;
    await wakes(type, {}, { setuid: OTHER });
    await wakes(type, { setuid: OTHER }, {});
  });

  test('users who share a queue wake each other without polling', async () => {
    if (!needs(isRoot, 'root')) return;
    await wakes(type, {}, user, { mode: 0o666 });
    await wakes(type, user, {}, { mode: 0o666 });
  });

  test.each([
    ['hidepid=2', 'mount -t proc -o hidepid=2 proc /proc'],
    ['no /proc', 'mount -t tmpfs none /proc'],
  ])('%s', async (_name, mount) => {
    if (!needs(isRoot && setpriv !== undefined, 'mounts as root')) return;
    const hidden: Role = {
      options: {
        wrapper: ['unshare', '-m', 'sh', '-c', `${mount}; exec ${setpriv} --reuid=${OTHER} --regid=${OTHER} --clear-groups "$@"`, 'sh'], // prettier-ignore
      },
    };
    await wakes(type, hidden, hidden);
    await wakes(type, hidden, user);
    await wakes(type, user, hidden);
  });
});

test('nothing that a peer writes into a segment makes this process open another file than a doorbell', async () => {
  if (!needs(isRoot, 'root')) return;
  const descriptor = describeQueue('shm');
  const target = join(folder, 'fifo');
  execFileSync('mkfifo', ['-m', '600', target]);
  const queue = attach(descriptor);
  const attacker = start(
    `(async () => {
      const queue = open();
      queue.get().catch(() => {});
      const file = '/dev/shm/' + fs.readdirSync('/dev/shm').find((name) => name.endsWith(given[0]));
      const read = fs.openSync(given[1], fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
      const fd = fs.openSync(file, 'r+');
      const words = Buffer.alloc(65536);
      const entries = () => {
        fs.readSync(fd, words, 0, words.length, 8192);
        return Array.from({ length: 256 }, (_, index) => index * 256).filter((entry) => words.readBigUInt64LE(entry) !== 0n);
      };
      // Its get sleeps once there is a doorbell for it.
      while (!entries().some((entry) => words.readBigUInt64LE(entry + 48) !== 0n)) await new Promise((resolve) => setImmediate(resolve));
      // Every participant's doorbell leads elsewhere: the inode is right, and the number is that of a descriptor that is open.
      const lie = Buffer.alloc(16);
      lie.writeBigUInt64LE(BigInt(read), 0);
      lie.writeBigUInt64LE(fs.fstatSync(read, { bigint: true }).ino, 8);
      for (const entry of entries()) fs.writeSync(fd, lie, 0, 16, 8192 + entry + 40);
      say('lied'); hear();
      let bytes = 0;
      try { bytes = fs.readSync(read, Buffer.alloc(64)); } catch {}
      say(bytes); hear();
      process.exit();
    })();`,
    descriptor,
    [String(descriptor.metadata.shm_name), target],
  );
  await attacker.next();
  queue.putSync('rings');
  expect(await attacker.tell('look').next()).toBe(0);
  attacker.tell('end');
  await attacker.ended;
  drain(queue);
  queue.closeSync();
});
