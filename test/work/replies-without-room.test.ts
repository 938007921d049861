/** A caller that lives, waits and does not read: what a server makes of the replies for which that leaves no room. */
import { QueueDescriptor, QueueFullError, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { replyDescriptor } from '../../lib/descriptor/reply-descriptor';
import { serve } from '../../lib/work';
import type { Consumer } from '../../lib/work';
import { writeRequest } from '../../lib/work/request';
import { runSchedules } from '../simulation/run-schedules';
import type { VirtualLoop } from '../simulation/virtual-clock';

let count = 0;

interface Scene {
  loop: VirtualLoop;
  requests: Queue;
  replies: Queue;
  server: Consumer;
  told: string[];
  handled: number;
  /** For so many milliseconds. @returns what has been told, handled and left in the queue since */
  passes(ms: number): Promise<object>;
}

/** One request whose reply finds no room, before a server. */
const withoutRoom = (
  handler: () => unknown,
  remainingMs: number,
  then: (scene: Scene) => Promise<void>,
): Promise<void> =>
  runSchedules('replies without room', 1, async (loop) => {
    const token = String(count++).padStart(32, '0');
    const requests = resolveDescriptor(QueueDescriptor.createLocalQueue(`no-room-${token}`)) as Queue;
    const replies = resolveDescriptor(replyDescriptor(requests.descriptor, token, { maxsize: 1 })) as Queue;
    await loop.outcome(replies.put('somebody'));
    await loop.outcome(requests.put(writeRequest(7, token, process.pid, remainingMs, 'work')));
    const scene: Scene = {
      loop,
      requests,
      replies,
      told: [],
      handled: 0,
      server: serve(
        requests,
        () => {
          scene.handled++;
          return handler();
        },
        {
          backoffMs: () => 500,
          onError: (error, body) => scene.told.push(`${String(body)}: ${(error as Error).name}`),
        },
      ),
      passes: async (ms: number): Promise<object> => {
        await loop.advance(loop.now + ms);
        const { qsize, leased } = await loop.outcome(requests.stats());
        return { told: scene.told, handled: scene.handled, left: qsize + leased! };
      },
    };
    await then(scene);
    await loop.outcome(scene.server.stop({ graceMs: 0 }));
    await loop.outcome(Promise.all([requests.close(), replies.close()]));
  });

function failing(): never {
  throw new RangeError('too far');
}

test('is a failed attempt once nobody has read for ten seconds: it is told of, and the caller, too, when there is room', () =>
  withoutRoom(
    () => 'done',
    Infinity,
    async ({ loop, replies, passes }) => {
      expect(await passes(9999)).toEqual({ told: [], handled: 1, left: 1 });
      expect(await passes(2)).toEqual({ told: ['work: QueueFullError'], handled: 1, left: 1 });
      expect(await loop.outcome(replies.get())).toBe('somebody');
      expect(await loop.outcome(replies.get())).toMatchObject([7, 1, { name: 'QueueFullError' }]);
      expect(await passes(0)).toEqual({ told: ['work: QueueFullError'], handled: 1, left: 0 });
    },
  ));

test('leaves its request in the queue, which comes again, while there is no room for its error either', () =>
  withoutRoom(failing, Infinity, async ({ loop, replies, passes }) => {
    const once = ['work: RangeError', 'work: QueueFullError'];
    expect(await passes(10_001)).toEqual({ told: once, handled: 1, left: 1 });
    expect(await passes(500)).toEqual({ told: [...once, 'work: RangeError'], handled: 2, left: 1 });
    expect(await loop.outcome(replies.get())).toBe('somebody');
    expect(await loop.outcome(replies.get())).toMatchObject([7, 1, { name: 'RangeError' }]);
    expect(await passes(0)).toMatchObject({ handled: 2, left: 0 });
  }));

test.each<[string, () => unknown, string[]]>([
  ['a value', () => 'done', []],
  ['an error', failing, ['work: RangeError']],
])('%s is dropped when the caller waits no longer', (_what, handler, told) =>
  withoutRoom(handler, 3000, async ({ passes }) => {
    expect(await passes(2999)).toMatchObject({ left: 1 });
    expect(await passes(2)).toEqual({ told, handled: 1, left: 0 });
  }),
);

test('keeps no stop beyond its grace, an error either: the request goes back unanswered', () =>
  withoutRoom(failing, Infinity, async ({ loop, server, requests, passes }) => {
    await passes(100);
    let isStopped = false as boolean;
    void server.stop({ graceMs: 100 }).then(() => (isStopped = true));
    await passes(99);
    expect(isStopped).toBe(false);
    expect(await passes(2)).toEqual({ told: ['work: RangeError'], handled: 1, left: 1 });
    expect(isStopped).toBe(true);
    expect((await loop.outcome(requests.lease({ block: false }))).deliveries).toBe(2);
  }));

test('what a full reply queue says names the caller', () =>
  withoutRoom(
    () => 'done',
    Infinity,
    async ({ loop, replies, passes }) => {
      await passes(10_001);
      await loop.outcome(replies.get());
      const [, , thrown] = (await loop.outcome(replies.get())) as [number, number, { name: string; message: string }];
      expect(thrown).toMatchObject({ name: QueueFullError.name, message: expect.stringContaining('left no room') });
    },
  ));
