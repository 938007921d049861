/** Items of a codec that the command line has not: they stay where they are, or go elsewhere as they are. */
import { command, expectOneLine, lines, segmentsNamed, uniqueName } from './command';
import { QueueDescriptor, registerCodec, resolveDescriptor } from '../../lib';
import type { SageQueue } from '../../lib';
import { QueueServer } from '../../lib/rpc';

registerCodec({
  name: 'own',
  id: 77,
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as unknown,
});

const name = uniqueName('undecodable');
const attach = (part: string, options: object = {}): SageQueue<unknown> =>
  resolveDescriptor<unknown>(QueueDescriptor.createSageQueue(`${name}.${part}`, options));

let server: QueueServer;
let from: SageQueue<unknown>;
let to: SageQueue<unknown>;
let port: number;

beforeEach(async () => {
  from = attach('from', { codec: 'own' });
  to = attach('to');
  server = new QueueServer({ queues: { from, to } });
  ({ port } = await server.start());
});

afterEach(async () => {
  await server.stop({ graceMs: 0 });
  for (const queue of [from, to]) {
    queue.unlinkSync();
    await queue.close();
  }
  expect(segmentsNamed(name)).toEqual([]);
});

const uri = (by: string, part: string): string =>
  by === 'rpc' ? `rpc://127.0.0.1:${port}/${part}` : `sage:${name}.${part}`;

/** What is left, with how often each was delivered before. */
async function left(queue: SageQueue<unknown>): Promise<unknown[]> {
  if (await queue.empty()) return [];
  const batch = await queue.leaseMany(99);
  await batch.ack();
  return batch.leases.map(({ item, deliveries }) => [item, deliveries - 1]);
}

describe.each(['sage', 'rpc'])('by %s', (by) => {
  test.each([
    ['get'],
    ['get', '--count', '2'],
    ['peek'],
    ['peek', '--count', '2'],
    ['peek', '--count', '99'],
    ['redrive'],
  ])('%s leaves what it cannot decode, at its place', async (verb, ...options) => {
    from.putManySync([{ a: 1 }, { a: 2 }, { a: 3 }]);
    const outcome = await command([verb, uri(by, 'from'), ...options]);
    expect(outcome.status).toBe(1);
    expectOneLine(outcome.stderr, /no codec with id 77 is registered here\. It is still in the queue/);
    expect(await left(from)).toEqual([1, 2, 3].map((a) => [{ a }, 0]));
  });

  test.each(['get', 'peek'])('%s writes what is in front of it, and says why it ends there', async (verb) => {
    const plain = attach('from');
    plain.putManySync(['one', 'two']);
    from.putManySync([{ a: 1 }, { a: 2 }]);
    const outcome = await command([verb, uri(by, 'from'), '--count', '9']);
    expect(outcome.status).toBe(1);
    expect(lines(outcome)).toEqual(['one', 'two']);
    expectOneLine(outcome.stderr, 'no codec with id 77');
    const behind = [1, 2].map((a) => [{ a }, 0]);
    expect(await left(from)).toEqual(verb === 'get' ? behind : [['one', 1], ['two', 1], ...behind]);
    await plain.close();
  });

  test('mv moves it as it is', async () => {
    from.putManySync([{ a: 1 }, { a: 2 }, { a: 3 }]);
    expect(lines(await command(['mv', uri(by, 'from'), uri(by, 'to'), '--count', '1']))).toEqual(['moved 1 items']);
    expect(await left(to)).toEqual([[{ a: 1 }, 0]]);
    expect(lines(await command(['mv', uri(by, 'from'), uri(by, 'to')]))).toEqual(['moved 2 items']);
    expect(await left(to)).toEqual([2, 3].map((a) => [{ a }, 0]));
    expect(await left(from)).toEqual([]);
  });

  test('mv into a queue with a schema stops before it', async () => {
    const typed = attach('typed', { schema: { a: 'u32' } });
    const plain = attach('from');
    plain.putManySync([{ a: 1 }, { a: 2 }]);
    from.putManySync([{ a: 3 }, { a: 4 }]);
    const outcome = await command(['mv', uri(by, 'from'), `sage:${name}.typed`]);
    expect(outcome.status).toBe(1);
    expectOneLine(outcome.stderr, /no codec with id 77.*2 items were moved, the rest stays in/);
    expect(await left(typed)).toEqual([1, 2].map((a) => [{ a }, 0]));
    expect(await left(from)).toEqual([3, 4].map((a) => [{ a }, 0]));
    await plain.close();
    typed.unlinkSync();
    await typed.close();
  });
});

test('mv out of a queue with a schema writes its items anew', async () => {
  const typed = attach('typed', { schema: { a: 'u32' } });
  typed.putManySync([{ a: 1 }, { a: 2 }]);
  expect(lines(await command(['mv', `sage:${name}.typed`, uri('sage', 'to')]))).toEqual(['moved 2 items']);
  const there = await command(['get', uri('rpc', 'to')]);
  expect(lines(there)).toEqual(['{"a":1}', '{"a":2}']);
  typed.unlinkSync();
  await typed.close();
});
