import { QueueDescriptor } from '../../lib';
import type { SageOptions } from '../../lib';
import { attach, describeQueue, errorOf, freshName, run, segmentFiles, start, types } from './child';
import type { Child } from './child';

describe.each(types)('%s', (type) => {
  test('a third process reads the same qsize, empty and full', async () => {
    const descriptor = describeQueue(type, { maxsize: 3 });
    const queue = attach(descriptor);
    const look = `(async () => {
      const queue = open({ create: 'never' });
      say([queue.qsizeSync(), await queue.qsize(), queue.emptySync(), await queue.empty(), await queue.full(), (await queue.stats()).qsize]);
      queue.closeSync();
    })();`;
    const consume = `const queue = open(); queue.getSync(); queue.closeSync();`;
    expect(await run(look, descriptor)).toEqual([[0, 0, true, true, false, 0]]);
    queue.putSync(1);
    expect(await run(look, descriptor)).toEqual([[1, 1, false, false, false, 1]]);
    queue.putManySync([2, 3]);
    expect(await run(look, descriptor)).toEqual([[3, 3, false, false, true, 3]]);
    await run(consume, descriptor);
    expect(await run(look, descriptor)).toEqual([[2, 2, false, false, false, 2]]);
    expect(queue.getManySync(5)).toEqual([2, 3]);
    queue.closeSync();
  });

  test('put, exit, and attach later: the items and their order are kept', async () => {
    const descriptor = describeQueue(type);
    await run(`const queue = open(); queue.putManySync(['a', { b: 1 }]); queue.closeSync();`, descriptor);
    await run(`const queue = open(); queue.putSync(Buffer.from('c')); process.exit(0);`, descriptor);
    await run(`const queue = open({ create: 'never' }); queue.putSync('left by falling off the end');`, descriptor);
    const [items] = await run(
      `const queue = open({ create: 'never' }); const items = queue.getManySync(9); say([items[0], items[1], String(items[2]), items[3]]); queue.closeSync();`,
      descriptor,
    );
    expect(items).toEqual(['a', { b: 1 }, 'c', 'left by falling off the end']);
    expect(
      segmentFiles(descriptor.queueType === 'shm' ? String(descriptor.metadata.shm_name) : descriptor.queueId),
    ).toEqual([]);
  });

  test('16 processes racing to create one name end on one queue', async () => {
    for (let round = 0; round < 2; round++) {
      const descriptor = describeQueue(type);
      const racers: Child[] = Array.from({ length: 16 }, (_, index) =>
        start(
          `say('ready'); hear();
          const queue = open({ create: given[0] % 4 === 3 ? 'exclusive' : 'if-missing' });
          queue.putSync(given[0]); say('put'); hear(); queue.closeSync();`,
          descriptor,
          [index],
        ),
      );
      await Promise.all(racers.map((racer) => racer.next()));
      for (const racer of racers) racer.tell('go');
      const outcomes = await Promise.all(
        racers.map((racer) => racer.next().then(() => true, (error: Error) => /ERR_QUEUE_EXISTS/.test(error.message) ? false : Promise.reject(error))), // prettier-ignore
      );
      const queue = attach<number>(descriptor, { create: 'never' });
      const expected = outcomes.flatMap((put, index) => (put ? [index] : []));
      // Those that may attach all do; of the exclusive ones at most the one that created.
      expect(expected.filter((index) => index % 4 !== 3)).toHaveLength(12);
      expect(expected.length).toBeLessThanOrEqual(13);
      expect(queue.getManySync(99).sort((a, b) => a - b)).toEqual(expected);
      for (const [index, racer] of racers.entries()) if (outcomes[index]) await racer.tell('done').clean();
      queue.closeSync();
    }
  });

  test('create: never and exclusive', async () => {
    const descriptor = describeQueue(type);
    expect((await errorOf(() => attach(descriptor, { create: 'never' }))).code).toBe('ERR_QUEUE_NOT_FOUND');
    expect(segmentFiles()).toEqual([]);
    const first = attach(descriptor, { create: 'exclusive' });
    expect((await errorOf(() => attach(descriptor, { create: 'exclusive' }))).code).toBe('ERR_QUEUE_EXISTS');
    const [code] = await run(`try { open({ create: 'exclusive' }); } catch (error) { say(error.code); }`, descriptor);
    expect(code).toBe('ERR_QUEUE_EXISTS');
    const second = attach(descriptor, { create: 'never' });
    second.putSync(1);
    expect(first.getSync()).toBe(1);
    first.closeSync();
    second.closeSync();
  });

  test('another configuration than the queue has is a mismatch; the default takes it as it is', async () => {
    const name = freshName();
    const queue = attach(describeQueue(type, { maxsize: 5, capacityBytes: 4096 }, name));
    for (const options of [{ maxsize: 6 }, { maxsize: 0 }, { capacityBytes: 8192 }]) {
      const error = await errorOf(() => attach(describeQueue(type, options, name)));
      expect(error.code).toBe('ERR_QUEUE_CONFIG_MISMATCH');
    }
    const others: SageOptions[] = [{ mode: 0o640 }, ...(type === 'sage_queue' ? [{ autoCleanup: false }] : [])];
    for (const options of others) {
      const error = await errorOf(() => attach(describeQueue(type, options, name)));
      expect(error.code).toBe('ERR_QUEUE_CONFIG_MISMATCH');
    }
    attach(describeQueue(type, { maxsize: 5, capacityBytes: 4096, mode: 0o600 }, name)).closeSync();
    const plain = attach(describeQueue(type, {}, name));
    expect(await plain.stats()).toMatchObject({ maxsize: 5, capacityBytes: 4096 });
    expect((await queue.stats()).attached).toHaveLength(1);
    plain.closeSync();
    queue.closeSync();
  });

  test('unlinkSync removes the name; those attached go on, whoever comes starts a new queue', async () => {
    const descriptor = describeQueue(type);
    const old = attach(descriptor);
    const peer = start(
      `const queue = open(); say('attached'); hear(); say(queue.getSync()); hear(); queue.putSync('back'); queue.closeSync();`,
      descriptor,
    );
    await peer.next();
    old.unlinkSync();
    old.unlinkSync();
    expect(segmentFiles()).toEqual([]);
    const fresh = attach(descriptor);
    fresh.putSync('new');
    old.putSync('old');
    peer.tell('go');
    expect(await peer.next()).toBe('old');
    peer.tell('go');
    expect(old.getSync()).toBe('back');
    await peer.clean();
    expect([old.qsizeSync(), fresh.getSync()]).toEqual([0, 'new']);
    // The old one leaves the name of the new one alone.
    old.closeSync();
    expect(segmentFiles()).toHaveLength(1);
    fresh.closeSync();
  });

  test.each(['a/b', '..', 'a..b', '', 'ä', 'x'.repeat(256), 'a b', 'a\0b'])('the name %j is refused', async (name) => {
    const descriptor =
      type === 'shm'
        ? () => QueueDescriptor.createShmQueue('id', name)
        : () => QueueDescriptor.createSageQueue(name || undefined);
    if (name === '' && type === 'sage_queue') return expect(descriptor().queueId).toMatch(/^sage_[0-9a-f]{8}$/);
    const { code } = await errorOf(() => attach(descriptor()));
    expect(['ERR_SEGMENT_NAME', 'ERR_DESCRIPTOR_INVALID']).toContain(code);
  });

  test('names of 255 characters are told apart', async () => {
    const long = freshName().padEnd(254, 'n');
    const queues = ['1', '2'].map((end) => attach(describeQueue(type, {}, long + end)));
    queues.forEach((queue, index) => queue.putSync(index));
    const [seen] = await run(
      `const queue = open({ create: 'never' }); say(queue.getSync()); queue.closeSync();`,
      describeQueue(type, {}, `${long}2`),
    );
    expect([seen, queues[0]!.getSync()]).toEqual([1, 0]);
    for (const queue of queues) queue.closeSync();
  });
});

test('shm and sage_queue of one name are two queues, and so are namespaces and shared ones', async () => {
  const name = freshName();
  const descriptors = [
    describeQueue('shm', {}, name),
    describeQueue('sage_queue', {}, name),
    describeQueue('sage_queue', { namespace: 'a' }, name),
    describeQueue('sage_queue', { namespace: 'b' }, name),
    describeQueue('sage_queue', { enableMultiTenant: false }, name),
    describeQueue('sage_queue', { enableMultiTenant: false, namespace: 'a' }, name),
  ];
  const queues = descriptors.map((descriptor) => attach(descriptor));
  queues.forEach((queue, index) => queue.putSync(index));
  for (const [index, descriptor] of descriptors.entries()) {
    expect(await run(`const queue = open({ create: 'never' }); say(queue.getManySync(9)); queue.closeSync();`, descriptor)).toEqual([[index]]); // prettier-ignore
  }
  for (const queue of queues) queue.closeSync();
});

test('autoCleanup removes the segment with its last handle once it is empty, and not without it', async () => {
  const kept = describeQueue('sage_queue', { autoCleanup: false });
  attach(kept).closeSync();
  expect(segmentFiles()).toHaveLength(1);
  const again = attach(kept, { create: 'never' });
  again.unlinkSync();
  again.closeSync();

  const cleaned = describeQueue('sage_queue');
  const first = attach(cleaned);
  const second = attach(cleaned);
  first.closeSync();
  expect(segmentFiles()).toHaveLength(1);
  second.putSync('keeps it');
  second.closeSync();
  expect(segmentFiles()).toHaveLength(1);
  // The last one to be attached is killed: the next that comes and leaves removes it.
  const victim = start(`const queue = open(); say(queue.getSync()); hear();`, cleaned);
  expect(await victim.next()).toBe('keeps it');
  await victim.kill();
  attach(cleaned).close();
  expect(segmentFiles()).toEqual([]);
});

test('closing all and resolving again while peers hold the queue loses nothing', async () => {
  const descriptor = describeQueue('sage_queue', { maxsize: 0 });
  const cycles = `const queue0 = open(); queue0.closeSync();
    for (let index = 0; index < 300; index++) { const queue = open(); queue.putSync([given[0], index]); queue.closeSync(); }`;
  await Promise.all([0, 1, 2].map((who) => run(cycles, descriptor, [who])));
  const queue = attach<[number, number]>(descriptor, { create: 'never' });
  const items = queue.getManySync(1000);
  expect(items).toHaveLength(900);
  for (const who of [0, 1, 2]) {
    expect(items.filter(([from]) => from === who).map(([, index]) => index)).toEqual(Array.from({ length: 300 }, (_, index) => index)); // prettier-ignore
  }
  queue.closeSync();
});
