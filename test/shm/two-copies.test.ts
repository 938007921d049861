/** Descriptors wherever they come from: a URI, a structured clone, another copy of the package in the same process. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freshName, root, run } from './child';

const other = mkdtempSync(join(tmpdir(), 'sage-queue-copy-'));
beforeAll(() => {
  for (const part of ['dist', 'package.json']) cpSync(join(root, part), join(other, part), { recursive: true });
  for (const part of ['build', 'node_modules']) symlinkSync(join(root, part), join(other, part));
});
afterAll(() => rmSync(other, { recursive: true }));

test('a local queue is one across two copies, items sealed by a server included', async () => {
  const said = await run(
    `
    const copy = require(given[0] + '/dist/index.js');
    const rpc = require('sage-queue/rpc');
    (async () => {
      const here = sq.getLocalQueue('shared');
      const there = copy.resolveDescriptor(sq.QueueDescriptor.createLocalQueue('shared'));
      say([sq.getLocalQueue !== copy.getLocalQueue, sq.getLocalQueue('another') !== undefined]);
      const waiting = there.get();
      await here.put('from here');
      say(await waiting);
      const lease = await (await there.put('leased'), here.lease());
      await lease.release();
      say(await there.get());
      const server = new rpc.QueueServer({ queues: { shared: here } });
      const { port } = await server.start();
      const remote = sq.getRpcQueue('127.0.0.1', port, 'shared');
      await remote.put({ sealed: true });
      say(await there.get());
      await remote.close();
      await server.stop();
      await here.shutdown();
      const error = await there.get().catch((e) => e);
      say([error instanceof sq.QueueShutDownError, error instanceof copy.QueueShutDownError, error instanceof copy.QueueFullError]);
      await here.close();
      await there.close();
    })();
    `,
    null,
    [other],
  );
  expect(said).toEqual([[true, true], 'from here', 'leased', { sealed: true }, [true, true, false]]);
});

test('errors are recognized by every copy, a subclass only by its own', async () => {
  const said = await run(
    `
    const copy = require(given[0] + '/dist/index.js');
    const foreign = new copy.QueueEmptyError();
    class Mine extends sq.QueueEmptyError {}
    class Theirs extends copy.QueueEmptyError {}
    say([foreign instanceof sq.QueueEmptyError, foreign instanceof sq.QueueError, foreign instanceof Error]);
    say([foreign instanceof sq.QueueFullError, foreign instanceof Mine, new Mine() instanceof Theirs]);
    say([new Mine() instanceof Mine, new Mine() instanceof copy.QueueEmptyError, new Theirs() instanceof sq.QueueError]);
    say([null, {}, 'text', new Error('e'), { __proto__: null }].some((value) => value instanceof sq.QueueError));
    `,
    null,
    [other],
  );
  expect(said).toEqual([[true, true, true], [false, false, false], [true, true, true], false]);
});

test('a descriptor of another copy is as good as one of this', async () => {
  const said = await run(
    `
    const copy = require(given[0] + '/dist/index.js');
    const theirs = copy.QueueDescriptor.createSageQueue(given[1]);
    const queue = sq.resolveDescriptor(theirs);
    say([queue.descriptor.equals(theirs), queue.descriptor instanceof sq.QueueDescriptor]);
    queue.putSync([theirs]);
    const [sent] = queue.getSync();
    say([sent instanceof sq.QueueDescriptor, sent.equals(theirs)]);
    queue.unlinkSync();
    queue.closeSync();
    `,
    null,
    [other, freshName()],
  );
  expect(said).toEqual([
    [true, true],
    [true, true],
  ]);
});

test('a structured clone resolves: workerData, postMessage, fork', async () => {
  const said = await run(
    `
    const { Worker } = require('node:worker_threads');
    const { once } = require('node:events');
    const made = sq.QueueDescriptor.createSageQueue(given[0], { maxsize: 7 });
    (async () => {
      const queue = sq.resolveDescriptor(made);
      const worker = new Worker(\`
        const { parentPort, workerData } = require('node:worker_threads');
        const sq = require('sage-queue');
        sq.resolveDescriptor(workerData).putSync('workerData');
        parentPort.once('message', (message) => {
          const queue = sq.resolveDescriptor(message.descriptor);
          queue.putSync('postMessage');
          queue.putSync(sq.QueueDescriptor.fromJSON(message.descriptor));
          process.exit();
        });\`, { eval: true, workerData: made });
      const workerEnds = once(worker, 'exit'); // it may come with the last item
      worker.postMessage({ descriptor: made });
      const [a, b, c] = [await queue.get(), await queue.get(), await queue.get()];
      say([a, b, c.equals(made), c.createdTimestamp === made.createdTimestamp]);
      await workerEnds;
      const program = "process.once('message', (it) => { require('sage-queue').resolveDescriptor(it).putSync('fork'); process.disconnect(); })";
      const child = require('node:child_process').spawn(process.execPath, ['-e', program], { stdio: [0, 1, 2, 'ipc'], serialization: 'advanced' });
      const childEnds = once(child, 'exit');
      child.send(made);
      say(await queue.get());
      await childEnds;
      queue.unlinkSync();
      await queue.close();
    })();
    `,
    null,
    [freshName()],
  );
  expect(said).toEqual([['workerData', 'postMessage', true, true], 'fork']);
});

test('queues of two copies in one thread each get their own calls', async () => {
  const said = await run(
    `
    const copy = require(given[0] + '/dist/index.js');
    const openOf = (module, name) => module.resolveDescriptor(module.QueueDescriptor.createSageQueue(given[1] + name));
    const queues = ['a', 'b'].flatMap((name) => [openOf(sq, name), openOf(copy, name)]);
    const [a, copyOfA, b, copyOfB] = queues;
    for (let n = 0; n < 100; n++) {
      a.putSync(Buffer.from('a' + n));
      copyOfB.putSync({ b: n });
    }
    let right = 0;
    for (let n = 0; n < 100; n++) {
      if (copyOfA.getSync().toString() === 'a' + n && b.getSync().b === n) right++;
    }
    for (let n = 0; n < 100; n++) {
      const claim = copyOfA.claimSync(2);
      b.putSync(n);
      claim.bytes.set([1, n]);
      claim.commit();
      a.consumeSync((view) => { if (copyOfB.getSync() === view[1]) right++; }, 1);
    }
    say([right, queues.map((queue) => queue.qsizeSync())]);
    a.unlinkSync();
    b.unlinkSync();
    for (const queue of queues) queue.closeSync();
    `,
    null,
    [other, freshName()],
  );
  expect(said).toEqual([[200, [0, 0, 0, 0]]]);
});
