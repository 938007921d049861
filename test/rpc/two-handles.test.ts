/** Two handles of one process on one server: what one of them waits for keeps the process alive, whatever the other one does. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue, QueueLike } from '../../lib';
import type { CuttingProxy } from './support/proxy';
import { Fixture, until } from './support/fixture';
import { Processes } from './support/processes';

const fixture = new Fixture();
const processes = new Processes();
afterEach(async () => {
  await processes.end();
  await fixture.end();
});

/** A process that loops over q and puts what comes into the queue back. */
async function startAnswering(delayMs: number): Promise<{ proxy: CuttingProxy; asked: Queue; answers: Queue }> {
  const answers = resolveDescriptor(QueueDescriptor.createLocalQueue('answers')) as Queue;
  fixture.later(() => answers.close());
  const asked = resolveDescriptor(QueueDescriptor.createLocalQueue('asked')) as Queue;
  fixture.later(() => asked.close());
  const { port } = await fixture.serve({ queues: { q: asked as QueueLike, back: answers as QueueLike } });
  const { proxy, port: through } = await fixture.proxy(port);
  proxy.delayMs = delayMs;
  processes.start('client.cjs', 'answer', String(through));
  await until(async () => (await asked.stats()).waitingGetters === 1);
  return { proxy, asked, answers };
}

test('one that has all its answers, while the other one still opens its stream', async () => {
  const { asked, answers } = await startAnswering(50);
  await asked.put('question');
  expect(await answers.get({ timeoutMs: 5000 })).toBe('question');
});

test('both cut off again and again: every item is answered, in order', async () => {
  const { proxy, asked, answers } = await startAnswering(5);
  const total = 200;
  await asked.putMany(Array.from({ length: total }, (_, number) => number));
  const received: unknown[] = [];
  for (let next = 0; received.length < total;) {
    received.push(await answers.get({ timeoutMs: 5000 }));
    if (received.length < next) continue;
    proxy.cut();
    next += 20;
  }
  expect(received).toEqual(Array.from({ length: total }, (_, number) => number));
}, 30_000);
