/** This package's own shared-memory types. */
import { createRequire } from 'node:module';
import { BATCH } from '../harness/items.mjs';

const { QueueDescriptor, resolveDescriptor } = createRequire(import.meta.url)('../harness/package.cjs');

/** Of the objects of five fields; the last one, that says the end, has this id. */
const SCHEMA = { id: 'u32', producer: 'u8', name: 'string', value: 'f64', active: 'bool' };
const LAST = { id: 2 ** 32 - 1, producer: 0, name: '', value: 0, active: false };

/** Room for some thousands of small items, or some tens of large ones. */
function open(type, run, suffix = '', more = {}) {
  const options = { maxsize: 4096, capacityBytes: run.work.bytes > 4096 ? 8 * 1024 * 1024 : 1024 * 1024, ...more };
  const name = `bench-${run.id}${suffix}`;
  return resolveDescriptor(
    type === 'shm'
      ? QueueDescriptor.createShmQueue(undefined, name, options)
      : QueueDescriptor.createSageQueue(name, options),
  );
}

const ways = {
  sync: {
    async produce(queue, source) {
      await source.go();
      while (source.more()) queue.putSync(source.next());
      for (let left = await source.done(); left > 0; left--) queue.putSync(source.end);
    },
    async consume(queue, sink) {
      while (sink.receive(queue.getSync()));
    },
    ping(there, back, probe) {
      do there.putSync(probe.start());
      while (probe.stop(back.getSync()));
      there.putSync(probe.end);
    },
    pong(there, back) {
      for (;;) {
        const item = there.getSync();
        if (item.length === 1 || item.end === true) return;
        back.putSync(item);
      }
    },
  },
  batch: {
    async produce(queue, source) {
      await source.go();
      while (source.more()) queue.putManySync(source.nextBatch());
      for (let left = await source.done(); left > 0; left--) queue.putSync(source.end);
    },
    async consume(queue, sink) {
      while (!sink.ended) for (const item of queue.getManySync(BATCH)) sink.receive(item);
    },
  },
  await: {
    async produce(queue, source) {
      await source.go();
      while (source.more()) await queue.put(source.next());
      for (let left = await source.done(); left > 0; left--) await queue.put(source.end);
    },
    async consume(queue, sink) {
      while (sink.receive(await queue.get()));
    },
    async ping(there, back, probe) {
      do await there.put(probe.start());
      while (probe.stop(await back.get()));
      await there.put(probe.end);
    },
    async pong(there, back) {
      for (;;) {
        const item = await there.get();
        if (item.length === 1 || item.end === true) return;
        await back.put(item);
      }
    },
  },
  /** Awaited as programs mostly write it. */
  loop: {
    produce: (queue, source) => ways.await.produce(queue, source),
    async consume(queue, sink) {
      for await (const item of queue) if (!sink.receive(item)) break;
    },
  },
  /** With a schema, which every item fits. */
  schema: {
    async produce(queue, source) {
      await source.go();
      while (source.more()) queue.putSync(source.next());
      for (let left = await source.done(); left > 0; left--) queue.putSync(LAST);
    },
    async consume(queue, sink) {
      for (let item = queue.getSync(); item.id !== LAST.id; item = queue.getSync()) sink.receive(item);
    },
  },
  /** Filled in place and read in place. */
  claim: {
    async produce(queue, source) {
      await source.go();
      while (source.more()) {
        const item = source.next();
        const claim = queue.claimSync(item.length);
        // The bytes that a program would write there by itself: here they are copied from the set of items.
        claim.bytes.set(item);
        claim.commit();
      }
      for (let left = await source.done(); left > 0; left--) queue.putSync(source.end);
    },
    async consume(queue, sink) {
      const handler = (view) => void sink.receive(view);
      while (!sink.ended) queue.consumeSync(handler, BATCH);
    },
  },
};

const variant = (type, way, title, only = {}) => ({
  name: `${type}/${way}`,
  title,
  own: true,
  // A batch could take the ends of several consumers.
  topologies: way === 'batch' || way === 'claim' ? ['1-1', '4-1'] : ['1-1', '4-1', '1-4', '4-4'],
  works: { claim: ['bytes'], schema: ['objects'] }[way],
  async produce(run, source) {
    const queue = open(type, run, '', way === 'schema' ? { schema: SCHEMA } : {});
    await ways[way].produce(queue, source);
    queue.closeSync();
  },
  async consume(run, sink) {
    const queue = open(type, run, '', way === 'schema' ? { schema: SCHEMA } : {});
    sink.ready();
    await ways[way].consume(queue, sink);
    queue.closeSync();
  },
  ...(ways[way].ping && {
    async ping(run, probe) {
      const [there, back] = [open(type, run, '-there'), open(type, run, '-back')];
      await probe.go();
      await ways[way].ping(there, back, probe);
      there.closeSync();
      back.closeSync();
    },
    async pong(run, { ready }) {
      const [there, back] = [open(type, run, '-there'), open(type, run, '-back')];
      ready();
      await ways[way].pong(there, back);
      there.closeSync();
      back.closeSync();
    },
  }),
  ...only,
});

export const variants = [
  variant('sage_queue', 'sync', 'sage_queue, putSync and getSync'),
  variant('sage_queue', 'batch', `sage_queue, putManySync and getManySync of ${BATCH}`),
  variant('sage_queue', 'await', 'sage_queue, await put and await get'),
  variant('sage_queue', 'loop', 'sage_queue, await put and for await'),
  variant('sage_queue', 'claim', 'sage_queue, claimSync and consumeSync'),
  variant('sage_queue', 'schema', 'sage_queue with a schema, putSync and getSync'),
];
export { variant };
