import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { runExample } from '../examples/run';
import { rayAddress } from './cluster';

test('examples/node-and-ray.mjs runs as it stands, and leaves no actor behind', async () => {
  await using client = new RayClient({ address: rayAddress(), graceMs: 5000 });
  const before = await client.listNamedActors();
  expect(await runExample('node-and-ray', rayAddress())).toEqual([
    '100 medians, the largest 101',
    '100 samples by 2 workers',
  ]);
  expect(await client.listNamedActors()).toEqual(before);
});
