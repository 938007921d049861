/** A batch of puts travels as a whole: HTTP/2 by itself would have the client stop after 64 KiB until the server has said that it read them. */
import { Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const COUNT = 4096;

test('a putMany arrives though nothing of what the server says does', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client<Buffer>(port);
  await queue.put(Buffer.from('first'));
  proxy.deaf = 'toClient';
  const putting = queue.putMany(Array.from({ length: COUNT }, () => Buffer.alloc(64)));
  const arrived = until(async () => (await backing.qsize()) === 1 + COUNT, 20_000).then(() => {
    proxy.cut();
    proxy.deaf = 'none';
  });
  const [accepted] = await Promise.all([putting, arrived]);
  expect(accepted).toBe(COUNT);
  expect(await backing.qsize()).toBe(1 + COUNT);
});
