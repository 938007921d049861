/** Several tokens, each with the queues and the calls it may use. */
import { getLocalQueue, QueueConnectionError } from '../../lib';
import type { QueueLike } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import type { TokenRights } from '../../lib/rpc';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const tokens: TokenRights[] = [
  { token: 'producer', queues: ['jobs-*'], rights: ['put'] },
  { token: 'consumer', queues: ['jobs-a'], rights: ['get', 'stats'] },
  { token: 'owner' },
];

async function serve(): Promise<{ server: QueueServer; port: number }> {
  const [a, other] = ['a', 'other'].map((name) => getLocalQueue(`tokens-${name}`) as QueueLike);
  const { server, port } = await fixture.serve({ tokens, queues: { 'jobs-a': a!, other: other! } });
  return { server, port };
}

test('a call without its right says which one it lacks, and the stream goes on', async () => {
  const { port } = await serve();
  const as = (token: string, queueId = 'jobs-a') => fixture.client(port, { queueId, credentials: { token } });
  const producer = as('producer');
  await producer.put('one');
  expect(await producer.putMany(['two', 'three'])).toBe(2);
  const consumer = as('consumer');
  expect(await consumer.get()).toBe('one');
  expect(await consumer.qsize()).toBe(2);
  for (const [refused, right] of [
    [producer.get(), 'get'],
    [producer.getMany(2), 'get'],
    [producer.lease(), 'get'],
    [producer.qsize(), 'stats'],
    [producer.shutdown(), 'shutdown'],
    [consumer.put('x'), 'put'],
    [consumer.putMany(['x', 'y']), 'put'],
    [consumer.shutdown(), 'shutdown'],
  ] as const) {
    const error = await errorOf(refused);
    expect(error).toBeInstanceOf(QueueConnectionError);
    expect(error.message).toContain(`lacks the right '${right}'`);
  }
  expect(await consumer.getMany(5)).toEqual(['two', 'three']);
  await as('owner', 'other').put('anywhere');
});

test('a queue that is not the token’s is refused by name', async () => {
  const { port } = await serve();
  const error = await errorOf(fixture.client(port, { queueId: 'other', credentials: { token: 'producer' } }).put(1));
  expect(error.message).toContain("may not use the queue 'other'");
});

test('reload: a stream that has opened nothing yet may do what its token may now', async () => {
  const { server, port } = await serve();
  const early = fixture.beginStream(port, 'consumer');
  await until(() => server['sessions'].size === 1);
  server.reload({ tokens: [{ token: 'consumer', queues: ['other'], rights: ['stats'] }] });
  early.send({ open: { protocolVersion: 1, queueId: 'jobs-a' } });
  expect((await early.status).details).toContain("may not use the queue 'jobs-a'");
  const late = fixture.beginStream(port, 'consumer');
  await until(() => server['sessions'].size === 1);
  server.reload({ tokens: [{ token: 'consumer', rights: ['put'] }] });
  late.send({ open: { protocolVersion: 1, queueId: 'other' } });
  late.send({ puts: [{ sequence: 1, items: { data: Buffer.from('x'), count: 1 } }], queries: [{ request: 1 }] });
  await until(() => late.frames.some(({ failures }) => (failures ?? []).length > 0));
  expect(late.frames.flatMap(({ putResult }) => putResult?.rejected ?? [])).toEqual([]);
});

test('a token that is there twice is refused: nobody could say which entry counts', () => {
  const twice = [{ token: 'one', rights: ['get'] }, { token: 'two' }, { token: 'one' }] as TokenRights[];
  const made = (): unknown => new QueueServer({ tokens: twice });
  expect(made).toThrow(TypeError);
  expect(made).toThrow('token 3 is the same as token 1');
});

test('reload: a revoked token ends its streams, others go on; a bad list keeps the old one', async () => {
  const { server, port } = await serve();
  const [consumer, owner] = ['consumer', 'owner'].map((token) =>
    fixture.client(port, { queueId: 'jobs-a', credentials: { token } }),
  );
  await owner!.qsize();
  const waiting = errorOf(consumer!.get());
  await consumer!.qsize();
  expect(() => server.reload({ tokens: [{ token: '' }] })).toThrow(TypeError);
  await owner!.put('kept');
  expect(await consumer!.qsize()).toBeLessThan(2);
  server.reload({ tokens: [{ token: 'owner' }] });
  await waiting.catch(() => {});
  const refused = await errorOf(consumer!.qsize());
  expect(refused).toBeInstanceOf(QueueConnectionError);
  expect(refused.message).toMatch(/revoked|token is missing or wrong/);
  expect(typeof (await owner!.qsize())).toBe('number');
});

test('tokens that could not be meant are refused, and not repeated', () => {
  for (const wrong of [[{ token: '' }], [{ token: 'a b\n' }], [{ token: 'secret', rights: ['read'] }], 'secret'])
    expect(() => new QueueServer({ tokens: wrong as never })).toThrow(TypeError);
  expect(() => new QueueServer({ tokens: [{ token: 'secret', rights: ['read' as never] }] })).not.toThrow(/secret/);
});
