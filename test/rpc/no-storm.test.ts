/** What breaks the stream that carries it is not sent for ever. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { errorOf, Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

/** A relay that ends every connection that has carried more than so many bytes to the server. */
async function relay(
  port: number,
  mostBytes: number,
): Promise<{ port: number; connections(): number; bytes(): number }> {
  let connections = 0;
  let total = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    connections++;
    let passed = 0;
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.pipe(client);
    client.on('data', (bytes) => {
      total += bytes.length;
      passed += bytes.length;
      if (passed > mostBytes) client.resetAndDestroy();
      else upstream.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  fixture.later(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections, bytes: () => total };
}

test('an item that something on the way does not let through fails after some attempts, alone', async () => {
  const { port: direct, backing } = await fixture.serve();
  const way = await relay(direct, 300_000);
  const queue = fixture.client(way.port);
  const small = queue.put('before');
  const large = errorOf(queue.put(Buffer.alloc(1_000_000)));
  const after = queue.put('after');
  await small;
  const error = await large;
  expect(error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
  expect(error.message).toMatch(/sent 8 times to 127\.0\.0\.1:\d+, and each time the connection broke/);
  await after;
  expect(await backing.getMany(3)).toEqual(['before', 'after']);
  expect(way.connections()).toBeLessThan(20);
}, 30_000);

test('attempts without progress come further and further apart', async () => {
  const { port: direct } = await fixture.serve();
  // The stream opens, and that is all.
  const way = await relay(direct, 2_000);
  const queue = fixture.client(way.port);
  const put = queue.put(Buffer.alloc(100_000)).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(way.connections()).toBeLessThan(10);
  await queue.close();
  await put;
}, 30_000);
