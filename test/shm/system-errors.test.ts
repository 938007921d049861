/** What the system lacks or refuses has codes and cures of its own, and is never called a corrupt segment. */
import { execFileSync } from 'node:child_process';
import { attach, describeQueue, run, types } from './child';
import type { NativeType } from './child';

const inNamespace = (setup: string): string[] => ['unshare', '-m', 'sh', '-c', `${setup}; exec "$@"`, 'sh'];

function privateMounts(): boolean {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    if (process.env.CI === 'true') throw new Error('CI needs private mount namespaces');
    console.warn('no private mount namespaces here: systems that lack something were not tried');
    return false;
  }
}

const outcomes = `
  const codes = [];
  for (const create of ['if-missing', 'never', 'exclusive']) {
    try { open({ create }).closeSync(); codes.push('attached'); } catch (error) { codes.push([error.constructor.name, error.code, new RegExp(given[0]).test(error.message)]); }
  }
  say(codes);`;
const all = (code: string): unknown[] => [Array(3).fill(['SegmentError', code, true])];

describe.each(types)('%s', (type: NativeType) => {
  test('no descriptors left: ERR_SEGMENT_RESOURCES, and the queue is whole', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putSync('whole');
    const [codes, item] = await run(
      `require('sage-queue').listSegments(); // the addon is loaded
      const taken = [];
      for (;;) try { taken.push(fs.openSync('/dev/null')); } catch { break; }
      const codes = [];
      for (const create of ['if-missing', 'never']) try { open({ create }).closeSync(); } catch (error) { codes.push([error.code, /ulimit -n/.test(error.message)]); }
      try { sq.listSegments(); } catch (error) { codes.push([error.code, /ulimit -n/.test(error.message)]); }
      for (const fd of taken) fs.closeSync(fd);
      say(codes);
      const queue = open(); say(queue.getSync()); queue.closeSync();`,
      descriptor,
      [],
      { wrapper: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] },
    );
    expect(codes).toEqual(Array(3).fill(['ERR_SEGMENT_RESOURCES', true]));
    expect(item).toBe('whole');
    queue.closeSync();
  });

  test('no address space left: ERR_SEGMENT_RESOURCES', async () => {
    // Memory is promised by the gigabyte, so that the limit can be set under what Node itself has.
    const descriptor = describeQueue(type, { capacityBytes: 2 ** 29 });
    const queue = attach(descriptor);
    const script = `
      sq.listSegments();
      const size = Number(/^VmSize:\\s*(\\d+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
      require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (size + 2 ** 28)]);
      ${outcomes}`;
    expect(await run(script, descriptor, ['ulimit -v'])).toEqual(all('ERR_SEGMENT_RESOURCES'));
    queue.closeSync();
  });

  test('files as large as the queue are not allowed: ERR_SEGMENT_RESOURCES', async () => {
    const codes = await run(outcomes, describeQueue(type), ['ulimit -f'], {
      wrapper: ['sh', '-c', 'ulimit -f 100; exec "$@"', 'sh'],
    });
    const resources = ['SegmentError', 'ERR_SEGMENT_RESOURCES', true];
    expect(codes).toEqual([[resources, ['QueueNotFoundError', 'ERR_QUEUE_NOT_FOUND', false], resources]]);
  });

  test.each([
    ['no /dev/shm', 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9'],
    [
      'a file in its place',
      'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && echo >/dev/shm',
    ],
  ])('%s: ERR_SEGMENT_UNSUPPORTED with the cure, and nothing to list', async (_what, setup) => {
    if (!privateMounts()) return;
    const descriptor = describeQueue(type);
    expect(await run(outcomes, descriptor, ['type rpc'], { wrapper: inNamespace(setup) })).toEqual(all('ERR_SEGMENT_UNSUPPORTED')); // prettier-ignore
  });

  test('no /proc: a queue is made, used and removed', async () => {
    if (!privateMounts()) return;
    const script = `
      const queue = open(); queue.putSync(1); say([queue.getSync(), fs.existsSync('/proc/self'), fs.readdirSync('/dev/shm').length]);
      queue.closeSync(); say(fs.readdirSync('/dev/shm'));`;
    const setup = 'mount -t tmpfs none /dev/shm && mount -t tmpfs none /proc';
    expect(await run(script, describeQueue(type), [], { wrapper: inNamespace(setup) })).toEqual([[1, false, 1], []]);
  });
});
