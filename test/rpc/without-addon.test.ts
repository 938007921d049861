/** On a platform that no addon fits: what needs none works, what needs it says why. */
import { execFileSync } from 'node:child_process';

const run = (code: string): unknown =>
  JSON.parse(
    execFileSync(process.execPath, ['-e', code], {
      cwd: __dirname,
      encoding: 'utf8',
      env: { ...process.env, SAGE_QUEUE_ADDON: '/no/such/addon.node' },
    }),
  );

test('local, and a server with its clients, work without the addon', () => {
  const got = run(`
    const { getLocalQueue, getRpcQueue } = require('sage-queue');
    const { QueueServer } = require('sage-queue/rpc');
    (async () => {
      const behind = getLocalQueue('behind');
      const server = new QueueServer({ queues: { jobs: behind } });
      const { host, port } = await server.start();
      const queue = getRpcQueue(host, port, 'jobs');
      await queue.putMany([{ n: 1 }, Buffer.from('two')]);
      const first = await behind.get();
      const lease = await queue.lease();
      await lease.ack();
      await queue.close();
      await server.stop();
      console.log(JSON.stringify([first, String(lease.item)]));
    })();
  `);
  expect(got).toEqual([{ n: 1 }, 'two']);
});

test.each(['shm', 'sage_queue'])('%s says what is missing, and what works without it', (type) => {
  const [code, message] = run(`
    const { attachToShmQueue, getSageQueue } = require('sage-queue');
    try {
      ${type === 'shm' ? `attachToShmQueue('q', 'without-addon')` : `getSageQueue('without-addon')`};
    } catch (error) { console.log(JSON.stringify([error.code, error.message])); }
  `) as [string, string];
  expect(code).toBe('ERR_ADDON_MISSING');
  expect(message).toContain('/no/such/addon.node');
  expect(message).toContain('npm rebuild sage-queue');
  expect(message).toContain('local, rpc, ray_actor and ray_queue work without it');
});

test('auto needs it where the owner lives, and not elsewhere', () => {
  const got = run(`
    const { QueueDescriptor, getLocalQueue, resolveDescriptor } = require('sage-queue');
    const { QueueServer } = require('sage-queue/rpc');
    (async () => {
      const server = new QueueServer({ queues: { q: getLocalQueue('q') } });
      const { port } = await server.start();
      const here = QueueDescriptor.createAutoQueue('q', { rpc: { serverAddress: '127.0.0.1', port } });
      let code;
      try { resolveDescriptor(here); } catch (error) { code = error.code; }
      const elsewhere = resolveDescriptor({ ...here.toJSON(), metadata: { ...here.metadata, owner_boot_id: 'another' } });
      await elsewhere.put('passed');
      console.log(JSON.stringify([code, await elsewhere.get()]));
      await elsewhere.close();
      await server.stop();
    })();
  `);
  expect(got).toEqual(['ERR_ADDON_MISSING', 'passed']);
});
