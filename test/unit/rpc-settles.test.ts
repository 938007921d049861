/** What a client of a remote queue tells the server of the items that it was delivered. */
import type { Connection } from '../../lib/transports/rpc/client/connection';
import { PendingSettles } from '../../lib/transports/rpc/client/pending-settles';
import type { ClientFrame } from '../../lib/transports/rpc/wire/protocol';

test('neighbours that the program has are told in one, and none of them with what goes back before it', () => {
  const settles = new PendingSettles({ scheduleFlush() {} } as unknown as Connection);
  const answered = jest.fn();
  settles.ack(1, answered);
  settles.ack(2, answered);
  settles.settle(3, 1, 'undo', answered);
  settles.ack(4, answered);
  settles.ack(5, answered);
  settles.ack(7, answered);
  settles.ack(8, () => {});
  const frame: ClientFrame = {};
  settles.collect(frame);
  expect(frame.settles!.map(({ tag, count, release }) => [tag, count, release])).toEqual([
    [1, 2, false],
    [3, 1, true],
    [4, 2, false],
    [7, 1, false],
    [8, 1, false],
  ]);
});
