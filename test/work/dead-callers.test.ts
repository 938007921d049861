/** Callers that are killed while no server holds their replies: nothing of them is left. */
import { listSegments } from '../../lib';
import type { QueueDescriptor } from '../../lib';
import { serve } from '../../lib/work';
import { attach, describeQueue, start, types, until } from '../shm/child';

/** Says that it is there, calls when it is told to and says what came. */
const CALLER = `
const { caller } = require('sage-queue/work');
(async () => {
  const one = caller(open());
  if (given[0]) await one.call(1);
  say('idle');
  process.stdin.once('data', async () => say(await one.call(2)));
})();
`;

const repliesOf = ({ queueId, metadata }: QueueDescriptor): string[] =>
  listSegments()
    .map(({ name }) => name)
    .filter((name) => name.startsWith(`${metadata.shm_name ?? queueId}.reply.`));

test.each(types)('%s: nothing is left of callers that died idle, nor of those that never called', async (type) => {
  const descriptor = describeQueue(type);
  const other = describeQueue(type);
  const queue = attach(descriptor);
  const beside = attach(other);
  const [living, quiet, answered, foreign] = [
    start(CALLER, descriptor, [true]),
    start(CALLER, descriptor, [false]),
    start(CALLER, descriptor, [true]),
    start(CALLER, other, [false]),
  ];
  const server = serve(queue, (n) => n);
  try {
    for (const one of [living, quiet, answered, foreign]) expect(await one.next()).toBe('idle');
    await until('the server has let go of the replies of those that are idle', () =>
      listSegments().every(
        ({ name, attached }) => !name.includes('.reply.') || attached.every(({ pid }) => pid !== process.pid),
      ),
    );
    expect(repliesOf(descriptor)).toHaveLength(3);
    await Promise.all([quiet.kill(), answered.kill(), foreign.kill()]);
    await until('those of the dead are gone', () => repliesOf(descriptor).length === 1);
    living.tell('call');
    expect(await living.next()).toBe(2);
    await living.kill();
    await until('nothing is left', () => repliesOf(descriptor).length === 0);
    // They are for a server of that queue to clear away.
    expect(repliesOf(other)).toHaveLength(1);
    await serve(beside, (n) => n).stop();
    expect(repliesOf(other)).toEqual([]);
  } finally {
    await server.stop();
    for (const each of [queue, beside]) {
      each.unlinkSync();
      each.closeSync();
    }
  }
});
