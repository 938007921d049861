/** `local`: the in-memory queue, within one thread. What the promises themselves cost. */
import { createRequire } from 'node:module';
import { Sink } from '../harness/items.mjs';
import { writeSync } from 'node:fs';

const { getLocalQueue } = createRequire(import.meta.url)('../harness/package.cjs');

export const variants = [
  {
    name: 'local/await',
    title: 'local, await put and await get in one thread',
    own: true,
    topologies: ['1-1'],
    pair: 'thread',
    async produce(run, source) {
      const queue = getLocalQueue(`bench-${run.id}`, { maxsize: 1000 });
      const sink = new Sink(run.work, 1, 1, run.warmMs);
      const say = (event, values) => writeSync(1, `@${JSON.stringify({ event, role: 'consume', ...values })}\n`);
      say('ready');
      const consumer = (async () => {
        while (sink.receive(await queue.get()));
      })();
      await source.go();
      while (source.more()) await queue.put(source.next());
      for (let left = await source.done(); left > 0; left--) await queue.put(source.end);
      await consumer;
      say('consumed', { ...sink.result(), cpuMs: 0 });
      await queue.close();
    },
  },
];
