/** What the program does with an item after it has been given away changes nothing. */
import { registerCodec, resolveDescriptor, QueueDescriptor, SerializationError } from '../../lib';
import { errorOf, Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

function transferAway(bytes: Uint8Array): void {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
}

function detached(): Uint8Array {
  const bytes = Uint8Array.of(1, 2, 3);
  transferAway(bytes);
  return bytes;
}

test('bytes that are transferred away or overwritten while their put is queued arrive as they were', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client<Uint8Array>(port);
  const sent = Uint8Array.of(1, 2, 3);
  const overwritten = Buffer.from('before');
  const large = new Uint8Array(300_000).fill(7);
  const puts = [queue.put(sent), queue.put(overwritten), queue.put(large)];
  transferAway(sent);
  transferAway(large);
  overwritten.fill('x');
  await Promise.all(puts);
  expect(await queue.getMany(10)).toEqual([Buffer.of(1, 2, 3), Buffer.from('before'), Buffer.alloc(300_000, 7)]);
});

test('bytes that are overwritten while there is no connection', async () => {
  const { server, port, backing } = await fixture.serve();
  await server.stop();
  const queue = fixture.client<Uint8Array>(port);
  const bytes = Buffer.from('before');
  const put = queue.put(bytes);
  const many = queue.putMany([bytes, bytes]);
  bytes.fill('x');
  await fixture.serve({ port, queues: { q: backing } });
  await Promise.all([put, many]);
  expect((await queue.getMany(3)).map(String)).toEqual(['before', 'before', 'before']);
});

test('a source that hands out the same buffer every time', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client<Buffer>(port);
  const shared = Buffer.alloc(1);
  function* letters(): Generator<Buffer> {
    for (const letter of 'abc') {
      shared.write(letter);
      yield shared;
    }
  }
  async function* later(): AsyncGenerator<Buffer> {
    yield* letters();
  }
  await queue.putMany(letters());
  await queue.putMany(later());
  expect((await queue.getMany(6)).join('')).toBe('abcabc');
});

test('a codec that hands out the same buffer every time', async () => {
  const scratch = Buffer.alloc(1);
  registerCodec({
    name: 'fixrpc-scratch',
    id: 143,
    encode: (value) => (scratch.write(String(value)), scratch),
    decode: (bytes) => String(Buffer.from(bytes)),
  });
  const { port } = await fixture.serve();
  const queue = resolveDescriptor<string>(
    QueueDescriptor.createRpcQueue('127.0.0.1', port, 'q', { codec: 'fixrpc-scratch' }),
  );
  fixture.later(() => queue.close());
  await Promise.all([queue.put('a'), queue.put('b'), queue.putMany(['c', 'd'])]);
  expect((await queue.getMany(4)).join('')).toBe('abcd');
});

test('bytes that were transferred away before: refused, and what came before them is in', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client(port);
  expect(await errorOf(queue.put(detached()))).toBeInstanceOf(SerializationError);
  const error = await errorOf(queue.putMany([1, detached(), 2]));
  expect(error).toBeInstanceOf(SerializationError);
  expect(error).toMatchObject({ accepted: 1 });
  expect(await queue.getMany(3)).toEqual([1]);
});

test('a proxy of bytes is refused as by put, and what came before it is in', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client(port);
  const proxy = new Proxy(new Uint8Array(2), {});
  expect(await errorOf(queue.put(proxy))).toBeInstanceOf(SerializationError);
  const error = await errorOf(queue.putMany([1, proxy, 2]));
  expect(error).toBeInstanceOf(SerializationError);
  expect(error).toMatchObject({ accepted: 1 });
  expect(await queue.getMany(3)).toEqual([1]);
});

test('an array whose class says something else of its length arrives as the bytes that it has', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client<Uint8Array>(port);
  const lying = (real: number, said: number): Uint8Array =>
    Object.defineProperty(new Uint8Array(real).fill(7), 'length', { value: said });
  await queue.put(lying(5, 25));
  await queue.putMany([lying(20, 3), lying(5, 25), lying(1, 0)]);
  expect(await queue.getMany(4)).toEqual([5, 20, 5, 1].map((real) => Buffer.alloc(real, 7)));
});
