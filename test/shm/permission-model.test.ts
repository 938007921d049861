/** Under Node's permission model the package opens nothing outside of itself that the queue does not need. */
import { describeQueue, errorOf, root, run } from './child';

const version = Number(process.versions.node.split('.')[0]);
const permission = version >= 24 ? '--permission' : '--experimental-permission';
const flags = ['--no-warnings', permission, `--allow-fs-read=${root}/*`];
/** Until Node 25 the network was not asked about. */
const network = version >= 25 ? ['--allow-net'] : [];

test('the package loads, and local and rpc need no other file', async () => {
  const said = await run(
    `
    const { RpcQueue, QueueServer } = require('sage-queue/rpc');
    require('sage-queue/testing');
    (async () => {
      const queue = sq.getLocalQueue('in-here');
      await queue.put('local');
      say(await queue.get());
      const auto = sq.QueueDescriptor.createAutoQueue('somewhere');
      say(auto.metadata.owner_boot_id);
      const server = new QueueServer({ queues: { served: queue } });
      const { port } = await server.start();
      const remote = sq.getRpcQueue('127.0.0.1', port, 'served');
      await remote.put('rpc');
      say(await remote.get());
      await remote.close();
      await server.stop();
      await queue.close();
    })();
    `,
    null,
    [],
    { flags: [...flags, ...network] },
  );
  expect(said).toEqual(['local', null, 'rpc']);
});

test('shared memory needs the addon to be allowed, and says so', async () => {
  const program = `
    try {
      const queue = open();
      queue.putSync({ a: 1 });
      say(queue.getSync());
      queue.unlinkSync();
      queue.closeSync();
    } catch (error) {
      say(error.message);
    }`;
  const queue = describeQueue('sage_queue');
  expect(await run(program, queue, [], { flags: [...flags, '--allow-addons'] })).toEqual([{ a: 1 }]);
  expect(
    await errorOf(async () => {
      const [message] = await run(program, queue, [], { flags });
      throw new Error(message);
    }),
  ).toMatchObject({ message: expect.stringContaining('--allow-addons') });
});
