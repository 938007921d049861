/** Ray needs no addon: a platform that none fits can still use a cluster. */
import { execFileSync } from 'node:child_process';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { freshName, killActors, rayAddress } from './cluster';

const namespace = freshName('without-addon');
const queueName = freshName('queue');
const actorName = freshName('actor');

afterAll(async () => {
  const client = new RayClient({ address: rayAddress(), namespace });
  await killActors(client, [queueName, actorName]);
  await client.close();
});

test.each([
  ['ray_queue', `createRayQueue('${queueName}', options)`],
  ['ray_actor', `createRayActorQueue(undefined, '${actorName}', options)`],
])('%s works without the addon', (_type, made) => {
  const said = execFileSync(
    process.execPath,
    [
      '-e',
      `const { QueueDescriptor, resolveDescriptor } = require('sage-queue');
       const options = ${JSON.stringify({ address: rayAddress(), namespace })};
       (async () => {
         const queue = resolveDescriptor(QueueDescriptor.${made});
         await queue.put({ n: 1 });
         console.log(JSON.stringify(await queue.get()));
         await queue.close();
       })();`,
    ],
    { cwd: __dirname, encoding: 'utf8', env: { ...process.env, SAGE_QUEUE_ADDON: '/no/such/addon.node' } },
  );
  expect(JSON.parse(said)).toEqual({ n: 1 });
});
