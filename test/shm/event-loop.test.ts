import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attach, describeQueue, freshName, isRoot, now, run, start, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('eight pending gets delay neither timers nor fs nor dns', async () => {
    const descriptor = describeQueue(type);
    const [[code, plain, pending]] = await run(
      `(async () => {
        const dns = require('node:dns').promises;
        const measure = async () => {
          const timed = async (call) => { const from = now(); await call(); return now() - from; };
          const least = { timer: Infinity, fs: Infinity, dns: Infinity };
          for (let count = 0; count < 10; count++) {
            least.timer = Math.min(least.timer, await timed(() => new Promise((resolve) => setTimeout(resolve, 5))));
            // More than the four threads of the pool at once: none of them may be taken by a wait.
            least.fs = Math.min(least.fs, await timed(() => Promise.all(Array.from({ length: 8 }, () => fs.promises.readFile('package.json')))));
            least.dns = Math.min(least.dns, await timed(() => dns.lookup('127.0.0.1').then(() => dns.lookup('localhost'))));
          }
          return least;
        };
        const plain = await measure();
        const queue = open();
        const gets = Array.from({ length: 8 }, () => queue.get());
        const pending = await measure();
        queue.closeSync();
        const outcomes = await Promise.allSettled(gets);
        say([[...new Set(outcomes.map(({ reason }) => reason.code))], plain, pending]);
      })();`,
      descriptor,
    );
    expect(code).toEqual(['ERR_QUEUE_CLOSED']);
    for (const what of ['timer', 'fs', 'dns']) expect(pending[what]).toBeLessThan(plain[what] + 50);
  });

  test('an idle process with waiters wakes 0 times, in every thread of it', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    const child = start(
      `const queue = open();
      for (let count = 0; count < 8; count++) queue.get().catch(() => {});
      say('parked'); process.stdin.resume();`,
      descriptor,
    );
    await child.next();
    await until('it is parked', async () => (await keeper.stats()).waitingGetters === 1);
    // Counted by another process: whoever counts its own wakes it.
    const [[threads, woken]] = await run(
      `
      const switches = () => Object.fromEntries(fs.readdirSync('/proc/' + given[0] + '/task').map((thread) => {
        const status = fs.readFileSync('/proc/' + given[0] + '/task/' + thread + '/status', 'utf8');
        return [thread + ' ' + /Name:\\s*(.*)/.exec(status)[1], Number(/^voluntary_ctxt_switches:\\s*(\\d+)/m.exec(status)[1])];
      }));
      (async () => {
        // From when nothing has moved for a while: the start of V8 and its threads is over.
        let before = switches();
        for (let quiet = 0; quiet < 3;) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          const next = switches();
          quiet = JSON.stringify(next) === JSON.stringify(before) ? quiet + 1 : 0;
          before = next;
        }
        await new Promise((resolve) => setTimeout(resolve, 2000));
        const after = switches();
        say([Object.keys(after).length, Object.keys(after).filter((thread) => after[thread] !== before[thread])]);
      })();`,
      descriptor,
      [child.pid],
    );
    expect(threads).toBeGreaterThan(1);
    expect(woken).toEqual([]);
    await child.kill();
    keeper.closeSync();
  });

  test('a blocked getSync wakes at most 10 times a second, and a bit for its start', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    const child = start(`const queue = open(); say('parked'); queue.getSync();`, descriptor);
    await child.next();
    await until('it sleeps', async () => (await keeper.stats()).waitingGetters === 1);
    const [[before, after]] = await run(
      `const switches = () => Number(/^voluntary_ctxt_switches:\\s*(\\d+)/m.exec(fs.readFileSync('/proc/' + given[0] + '/status', 'utf8'))[1]);
      const before = switches(); setTimeout(() => say([before, switches()]), 2000);`,
      descriptor,
      [child.pid],
    );
    expect(after - before).toBeGreaterThan(5);
    expect(after - before).toBeLessThanOrEqual(25);
    await child.kill();
    keeper.closeSync();
  });

  test('a consumer whose event loop is blocked keeps nothing from those that sleep', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    const busy = [0, 1].map(() =>
      start(
        `const queue = open(); const got = []; const take = () => queue.get().then((item) => { got.push(item); take(); }, () => {});
        take(); say('parked');
        const asleep = async () => {
          // Both of them, and this one among them.
          if ((await queue.stats()).waitingGetters < 2) return setImmediate(asleep);
          hear(); say(got); hear(); queue.closeSync();
        };
        asleep();`,
        descriptor,
      ),
    );
    await Promise.all(busy.map((child) => child.next()));
    await until('the busy ones are parked', async () => (await keeper.stats()).waitingGetters === 2);
    const sleepers = ['sync', 'async'].map((how) =>
      start(
        `(async () => { const queue = open(); try { for (;;) { const item = given[0] === 'sync' ? queue.getSync() : await queue.get(); say([item, now()]); } } catch {} queue.closeSync(); })();`,
        descriptor,
        [how],
      ),
    );
    await until('all are parked', async () => (await keeper.stats()).waitingGetters === 4);
    const lateness: number[] = [];
    const arrived = (async () => {
      const taken: [string, number][] = [];
      const follow = async (child: (typeof sleepers)[number]): Promise<void> => {
        for (;;) taken.push(await child.next());
      };
      for (const child of sleepers) follow(child).catch(() => {});
      await until('all have arrived', () => taken.length === 5);
      return taken;
    })();
    const sent: Record<string, number> = {};
    for (let index = 0; index < 5; index++) {
      sent[index] = now();
      keeper.putSync(String(index));
      await until('it was taken', () => keeper.emptySync());
    }
    for (const [item, at] of await arrived) lateness.push(at - sent[item]!);
    expect(Math.min(...lateness)).toBeLessThan(50);
    expect(Math.max(...lateness)).toBeLessThan(1000);
    for (const child of busy) expect(await child.tell('now').next()).toEqual([]);
    for (const child of busy) child.tell('end');
    await keeper.shutdown();
    await Promise.all([...busy, ...sleepers].map((child) => child.clean()));
    keeper.closeSync();
  });

  test('a flood of items leaves the event loop its turns', async () => {
    const descriptor = describeQueue(type);
    const producer = start(
      `const queue = open(); try { for (let index = 0; ; index++) queue.putSync(index); } catch (error) { say(error.code); } queue.closeSync();`,
      descriptor,
    );
    const [[ticks, items]] = await run(
      `(async () => {
        const queue = open();
        let ticks = 0;
        const timer = setInterval(() => ticks++, 1);
        const until = now() + 500;
        let items = 0;
        while (now() < until) { await queue.get(); items++; }
        clearInterval(timer);
        await queue.shutdown({ immediate: true });
        queue.closeSync();
        say([ticks, items]);
      })();`,
      descriptor,
    );
    expect(ticks).toBeGreaterThan(5);
    expect(items).toBeGreaterThan(100);
    expect(await producer.clean()).toEqual(['ERR_QUEUE_SHUT_DOWN']);
  });

  const strace = ['/usr/bin/strace', '/usr/local/bin/strace'].find(existsSync);
  test('no syscall per message in the steady state', async () => {
    if (strace === undefined) {
      if (process.env.CI === 'true') throw new Error('CI needs strace, to count the system calls of a steady flow');
      console.warn('strace is not installed: the system calls of a steady flow were not counted');
      return;
    }
    const file = join(tmpdir(), freshName());
    // Between the marks (two calls that nothing else makes) every call of the process is counted.
    const child = start(
      `const queue = open();
      const item = Buffer.alloc(64, 1);
      const flow = (count) => { for (let index = 0; index < count; index++) { queue.putSync(item); queue.getSync(); } };
      const batches = (count) => { const items = Array(32).fill(item); for (let index = 0; index < count; index += 32) { queue.putManySync(items); queue.getManySync(32); } };
      flow(20000); batches(20000);
      try { fs.statSync('/mark-begin'); } catch {}
      flow(20000); batches(20000);
      try { fs.statSync('/mark-end'); } catch {}
      queue.closeSync();`,
      describeQueue(type),
      [],
      { wrapper: [strace, '-f', '-o', file] },
    );
    await child.clean();
    const lines = readFileSync(file, 'utf8').split('\n');
    rmSync(file);
    const begin = lines.findIndex((line) => line.includes('/mark-begin'));
    const end = lines.findIndex((line) => line.includes('/mark-end'));
    expect(end).toBeGreaterThan(begin);
    expect(begin).toBeGreaterThan(0);
    const between = lines.slice(begin + 1, end).filter((line) => !line.includes('resumed'));
    // V8's own (memory of 40 000 Buffers, its helper threads, for which glibc reads /proc/sys): nothing that grows with the messages.
    expect(between.length).toBeLessThan(2000);
    expect(
      between.filter((line) => /futex\(.*FUTEX_(WAKE|WAIT),/.test(line) || /\/proc\/(\d|self)/.test(line)),
    ).toEqual([]);
  });
});

test('a ring that found a small pipe full is not lost', async () => {
  const limit = Number(readFileSync('/proc/sys/fs/pipe-user-pages-soft', 'utf8'));
  if (limit === 0) {
    console.warn('pipe-user-pages-soft is 0: no user of this host gets small pipes, so none was filled');
    return;
  }
  // The limit says nothing to root; its queue's name would be root's, so the children make it.
  const uid = isRoot ? 54321 : undefined;
  const descriptor = describeQueue('shm');
  const directory = mkdtempSync(join(tmpdir(), 'small-pipes.'));
  chmodSync(directory, 0o777);
  const waiter = start(
    `const doorbell = () => fs.readdirSync('/proc/self/fd').find((fd) => {
      try { return fs.readlinkSync('/proc/self/fd/' + fd).includes('/sage-queue-bell+'); } catch { return false; }
    });
    // A user who has as many pages in pipes as the limit says gets pipes of a page or two from then on.
    const fifos = Array.from({ length: Math.ceil(given[1] / 16) }, (_, index) => given[0] + '/' + index);
    require('node:child_process').execFileSync('mkfifo', fifos);
    const held = fifos.map((fifo) => fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK));
    const queue = open();
    const got = queue.get();
    const asleep = async () => {
      if ((await queue.stats()).waitingGetters === 0) return setImmediate(asleep);
      say(doorbell());
      hear();
      got.then((item) => { say(item); queue.closeSync(); process.exit(); }, () => {});
      setTimeout(() => { say('nothing'); queue.closeSync(); process.exit(); }, 2000);
    };
    asleep();`,
    descriptor,
    [directory, limit],
    { uid },
  );
  const fd = openSync(`/proc/${waiter.pid}/fd/${await waiter.next()}`, constants.O_WRONLY | constants.O_NONBLOCK);
  let bytes = 0;
  // Tags of nobody.
  expect(() => {
    for (;;) bytes += writeSync(fd, Buffer.alloc(4, 0xff));
  }).toThrow('EAGAIN');
  closeSync(fd);
  expect(bytes).toBeLessThan(64 * 1024);
  await run(`const queue = open(); queue.putSync('there'); queue.closeSync();`, descriptor, [], { uid });
  expect(await waiter.tell('go on').next()).toBe('there');
  await waiter.clean();
  rmSync(directory, { recursive: true });
});

test('the clock of the parent and of its children is one', async () => {
  const before = now();
  const [there] = await run('say(now());', null);
  expect(there).toBeGreaterThan(before);
  expect(there).toBeLessThan(now());
});
