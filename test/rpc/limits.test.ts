import * as grpc from '@grpc/grpc-js';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { ItemTooLargeError, QueueConnectionError, QueueDescriptor, resolveDescriptor } from '../../lib';
import { seeded } from '../random';
import type { ServedQueue } from '../../lib/server/served-queue';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const open = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
  });

/** A stream that sends whatever bytes it is told to as messages. */
function rawStream(port: number): {
  call: grpc.ClientDuplexStream<Buffer, Buffer>;
  status: Promise<grpc.StatusObject>;
} {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const same = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest('/sagequeue.v1.QueueService/Attach', same, same);
  call.on('error', () => {});
  call.on('data', () => {});
  const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
  fixture.later(async () => client.close());
  return { call, status };
}

test.each([0, 1, 63, 64, 65, 4095, 4096, 65_535, 65_536, 262_143, 262_145, 1 << 20, 16 << 20])(
  'an item of %d bytes arrives intact',
  async (length) => {
    const { port } = await fixture.serve();
    const queue = fixture.client<Buffer>(port);
    const item = randomBytes(length);
    await queue.put(item);
    const got = await queue.get();
    expect(got.length).toBe(length);
    expect(got.equals(item)).toBe(true);
  },
);

test('an item over the limit is ItemTooLargeError at the sender, and the queue works on', async () => {
  const { port, backing } = await fixture.serve({ maxMessageBytes: 1 << 20 });
  const queue = fixture.client<Buffer>(port);
  const small = Buffer.alloc(10);
  const over = Buffer.alloc((1 << 20) + 1);
  // Before the first connection, when the limit is not known yet, and after.
  expect(await errorOf(queue.put(over))).toBeInstanceOf(ItemTooLargeError);
  expect(await errorOf(queue.put(over))).toBeInstanceOf(ItemTooLargeError);
  const many = await errorOf(queue.putMany([small, small, over, small]));
  expect(many).toBeInstanceOf(ItemTooLargeError);
  expect((many as ItemTooLargeError).accepted).toBe(2);
  await queue.put(Buffer.alloc(1 << 20));
  expect(await backing.qsize()).toBe(3);
  const fresh = fixture.client<Buffer>(port);
  const first = await errorOf(fresh.putMany([small, over, small]));
  expect(first).toBeInstanceOf(ItemTooLargeError);
  expect((first as ItemTooLargeError).accepted).toBe(1);
});

test('a message over the limit from a client that ignores it ends that stream only', async () => {
  const { port } = await fixture.serve({ maxMessageBytes: 1 << 16 });
  const good = fixture.client(port);
  await good.put(1);
  const { call, status } = rawStream(port);
  call.write(Buffer.alloc(1 << 20));
  expect((await status).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  expect(await good.get()).toBe(1);
});

test('malformed frames end their stream only', async () => {
  const next = seeded('limits').next;
  const { port, server } = await fixture.serve();
  const good = fixture.client(port);
  await good.put(0);
  for (let round = 0; round < 200; round++) {
    const { call, status } = rawStream(port);
    call.write(Buffer.from(Array.from({ length: 1 + Math.floor(next() * 40) }, () => Math.floor(next() * 256))));
    expect((await status).code).not.toBe(grpc.status.OK);
  }
  expect(await good.get()).toBe(0);
  await server.stop();
});

test('random bytes instead of HTTP/2, and connections that end in mid-speech', async () => {
  const next = seeded('limits').next;
  const { port } = await fixture.serve();
  const good = fixture.client(port);
  await good.put(0);
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  for (let round = 0; round < 150; round++) {
    const socket = await open(port);
    socket.on('error', () => {});
    const noise = Buffer.from(Array.from({ length: Math.floor(next() * 400) }, () => Math.floor(next() * 256)));
    socket.write(round % 2 === 0 ? noise : Buffer.concat([preface, noise]));
    if (next() < 0.5) socket.resetAndDestroy();
    else socket.destroy();
  }
  expect(await good.get()).toBe(0);
});

test('half-open connections do not keep others out', async () => {
  const { port } = await fixture.serve();
  const silent = await Promise.all(Array.from({ length: 200 }, () => open(port)));
  const queue = fixture.client(port);
  await queue.put(1);
  expect(await queue.get()).toBe(1);
  for (const socket of silent) socket.destroy();
});

test('many connections in a row leave the server serving', async () => {
  // npm run test:rpc:long makes it ten thousand.
  const total = process.env.SAGE_QUEUE_LONG === '1' ? 10_000 : 1000;
  const { port, backing } = await fixture.serve();
  for (let round = 0; round < total; round += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const queue = resolveDescriptor(QueueDescriptor.createRpcQueue('127.0.0.1', port, 'q'));
        await queue.put(round + index);
        await queue.close();
      }),
    );
  }
  expect(await backing.qsize()).toBe(total);
}, 300_000);

test('more streams than maxStreams: a clear error, and room again when one leaves', async () => {
  const { port } = await fixture.serve({ maxStreams: 2 });
  const first = fixture.client(port);
  const second = fixture.client(port);
  await first.put(1);
  await second.put(2);
  const third = fixture.client(port);
  const error = await errorOf(third.put(3, { timeoutMs: 300 }));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toContain('maxStreams');
  await first.close();
  await third.put(3);
  expect(await second.getMany(5)).toEqual([1, 2, 3]);
});

test('more connections than maxConnections', async () => {
  const { port } = await fixture.serve({ maxConnections: 1 });
  const first = fixture.client(port);
  await first.put(1);
  const refused = fixture.client(port);
  const error = await errorOf(refused.put(2, { timeoutMs: 300 }));
  expect(error).toBeInstanceOf(QueueConnectionError);
  await first.close();
  await until(async () =>
    refused.put(3, { timeoutMs: 500 }).then(
      () => true,
      () => false,
    ),
  );
});

test('of ever new queues that a function offers nothing stays open once they are empty and nobody has used them for long', async () => {
  const { port, server } = await fixture.serve({
    queues: (queueId) => QueueDescriptor.createLocalQueue(`limits-${queueId}`),
    rememberMs: 20,
  });
  const { opened } = server['served'] as unknown as { opened: Map<string, Promise<ServedQueue>> };
  for (let number = 0; number < 20; number++) {
    const queue = fixture.client<number>(port, { queueId: `q${number}` });
    await queue.put(number);
    if (number !== 7) expect(await queue.get()).toBe(number);
    if (number !== 9) await queue.close();
  }
  // One has an item, and one a client.
  await until(async () => {
    await server['served'].sweep();
    return opened.size <= 2;
  });
  expect([...opened.keys()]).toEqual(['q7', 'q9']);
  const again = fixture.client<number>(port, { queueId: 'q7' });
  expect(await again.get()).toBe(7);
  await fixture.client<number>(port, { queueId: 'q3' }).put(3);
  expect([...opened.keys()]).toEqual(['q7', 'q9', 'q3']);
});

test('a queue that is let go of while a client opens it is opened anew for it', async () => {
  const { port, server } = await fixture.serve({
    queues: (queueId) => QueueDescriptor.createLocalQueue(`limits-${queueId}`),
    rememberMs: 1,
  });
  const served = server['served'];
  const { opened } = served as unknown as { opened: Map<string, Promise<ServedQueue>> };
  const first = fixture.client(port, { queueId: 'again' });
  await first.qsize();
  await first.close();
  await until(async () => (await opened.get('again'))!.sessions === 0);
  const before = opened.get('again');
  const opening = served.open('again', { client: '', exclusive: false });
  opened.delete('again');
  const now = await opening;
  expect(now).not.toBe(await before);
  expect(await opened.get('again')).toBe(now);
  await (await before)!.close();
});
