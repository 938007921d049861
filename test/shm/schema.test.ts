/** Queues whose items have a schema: in one process and between two, with and without generated code, in memory and over rpc. */
import * as sage from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { attach, describeQueue, errorOf, freshName, run, types } from './child';

const schema = { id: 'u32', tags: ['string'], when: 'date', 'note?': 'string' } as const;
const item = { id: 7, tags: ['a', 'é'], when: new Date(5), note: 'n' };

describe.each(types)('%s', (type) => {
  test.each([[], ['--disallow-code-generation-from-strings']])(
    '%j: items go both ways, one by one and in batches',
    async (...flags) => {
      const descriptor = describeQueue(type, { schema });
      const there = attach<typeof item>(descriptor);
      there.putSync(item);
      const said = run(
        `
      const queue = open();
      const got = queue.getSync();
      got.tags.push('there');
      queue.putManySync([got, { ...got, note: undefined }]);
      try { queue.putSync({ ...got, tags: [1] }); } catch (error) { say([error.code, error.message.slice(0, 33)]); }
      let forbidden = false;
      try { new Function('return 1')(); } catch { forbidden = true; }
      say(forbidden);
      queue.closeSync();
      `,
        descriptor,
        [],
        { flags: flags.filter(Boolean) },
      );
      expect(await said).toEqual([['ERR_ITEM_SERIALIZATION', 'tags[0]: string expected, found 1'], flags.length > 0]);
      const { note, ...rest } = { ...item, tags: ['a', 'é', 'there'] };
      expect(await there.getMany(9)).toEqual([{ ...rest, note }, rest]);
      await there.put(item);
      expect(await there.get()).toEqual(item);
      there.unlinkSync();
      there.closeSync();
    },
  );

  test('what does not fit leaves the queue as it was; batches stop before it', async () => {
    const queue = attach<unknown>(describeQueue(type, { schema }));
    expect(await errorOf(() => queue.putManySync([item, { id: 1 }, item]))).toMatchObject({
      code: 'ERR_ITEM_SERIALIZATION',
      accepted: 1,
      message: expect.stringContaining('tags: list expected, found undefined'),
    });
    expect(await errorOf(() => queue.put(Buffer.from('raw')))).toMatchObject({ code: 'ERR_ITEM_SERIALIZATION' });
    expect(queue.getManySync(9)).toEqual([item]);
    queue.unlinkSync();
    queue.closeSync();
  });
});

describe.each(types)('%s: the schema lies in the segment', (type) => {
  test('who attaches by name alone reads and checks; other schemas are refused, more optional fields are added', async () => {
    const name = freshName();
    const queue = attach<unknown>(describeQueue(type, { schema }, name));
    const byName = attach<unknown>(describeQueue(type, {}, name));
    queue.putSync(item);
    expect(
      await run('const queue = open(); say(queue.getSync().tags); queue.closeSync();', describeQueue(type, {}, name)),
    ).toEqual([['a', 'é']]);
    byName.putSync(item);
    expect(queue.getSync()).toEqual(item);
    expect(() => byName.putSync({ ...item, id: -1 })).toThrow('id: u32 expected, found -1');
    for (const other of [{ id: 'u32' }, { ...schema, more: 'u8' }, 'any'] as const)
      expect(() => attach(describeQueue(type, { schema: other }, name))).toThrow(
        expect.objectContaining({ code: 'ERR_QUEUE_CONFIG_MISMATCH' }),
      );
    const more = attach<unknown>(describeQueue(type, { schema: { ...schema, 'more?': 'u8' } }, name));
    more.putSync({ ...item, more: 9 });
    expect(
      await run('const queue = open(); say(queue.getSync().more); queue.closeSync();', describeQueue(type, {}, name)),
    ).toEqual([9]);
    more.putSync({ ...item, more: 9 });
    const said = run(
      'const queue = open(); const got = queue.getSync(); say([got.id, got.more ?? null]); queue.closeSync();',
      describeQueue(type, { schema }, name),
    );
    // By the program's own schema, or by all that the segment has.
    expect((await said)[0][0]).toBe(7);
    for (const one of [byName, more]) one.closeSync();
    queue.unlinkSync();
    queue.closeSync();
  });

  test('a queue without one takes none', () => {
    const name = freshName();
    const queue = attach<unknown>(describeQueue(type, {}, name));
    expect(() => attach(describeQueue(type, { schema }, name))).toThrow(/exists without a schema/);
    queue.unlinkSync();
    queue.closeSync();
  });
});

test('bytes as items of their own, and scalars', async () => {
  const bytes = sage.getSageQueue(freshName(), { schema: 'bytes' });
  await bytes.put(Buffer.from('abc'));
  await bytes.putMany([new Uint8Array([1]), new Uint8Array(0)]);
  expect(await bytes.getMany(9)).toEqual([Buffer.from('abc'), Buffer.from([1]), Buffer.alloc(0)]);
  const numbers = sage.attachToShmQueue(undefined, freshName(), { schema: ['i64'] });
  await numbers.put([1n, -2n]);
  expect(await numbers.get()).toEqual([1n, -2n]);
  for (const queue of [bytes, numbers]) {
    queue.unlinkSync();
    await queue.close();
  }
});

test('local checks, and passes by reference; another schema is refused, one with more optional fields is not', async () => {
  const id = freshName();
  const queue = sage.getLocalQueue(id, { schema });
  await queue.put(item);
  expect(await queue.get()).toBe(item);
  await expect(queue.put({ ...item, id: -1 })).rejects.toThrow('id: u32 expected, found -1');
  expect(await errorOf(() => queue.putMany([item, { ...item, tags: [7] } as never]))).toMatchObject({ accepted: 1 });
  const plain = sage.getLocalQueue(id);
  await expect(plain.put({ any: 1 })).rejects.toThrow(sage.SerializationError);
  expect(() => sage.getLocalQueue(id, { schema: { id: 'u32' } })).toThrow(sage.ConfigMismatchError);
  const more = sage.getLocalQueue(id, { schema: { ...schema, 'more?': 'u8' } });
  await more.put({ ...item, more: 1 });
  expect(await queue.getMany(9)).toEqual([item, { ...item, more: 1 }]);
  for (const one of [queue, plain, more]) await one.close();
});

test('rpc passes items undecoded, and a served queue with a schema takes those of its own only', async () => {
  const served = sage.getSageQueue(freshName(), { schema });
  const local = sage.getLocalQueue(freshName(), { schema });
  const server = new QueueServer({ queues: { served, local } });
  const { port } = await server.start();
  const remote = sage.getRpcQueue('127.0.0.1', port, 'served', { schema });
  await remote.put(item);
  expect(await served.get()).toEqual(item);
  await served.put(item);
  expect(await remote.getMany(9)).toEqual([item]);
  await expect(remote.put({ ...item, id: 'x' } as never)).rejects.toThrow('id: u32 expected, found "x"');
  const toLocal = sage.getRpcQueue('127.0.0.1', port, 'local', { schema });
  await toLocal.putMany([item, item]);
  expect(await local.get()).toEqual(item);
  expect(await toLocal.get()).toEqual(item);
  const without = sage.getRpcQueue('127.0.0.1', port, 'local');
  await expect(without.put({ free: 1 })).rejects.toThrow(/without a schema/);
  for (const queue of [remote, toLocal, without, local]) await queue.close();
  await server.stop();
  served.unlinkSync();
  await served.close();
});
