/** The batches of one putMany over rpc: once one of them ends early, whatever ended it, none of those behind it is sent. */
import { QueueConnectionError } from '../../lib';
import type { Connection } from '../../lib/transports/rpc/client/connection';
import { PendingPuts } from '../../lib/transports/rpc/client/pending-puts';
import { ItemBatch } from '../../lib/transports/rpc/wire/item-batch';
import type { ClientFrame, Opened, PutResult } from '../../lib/transports/rpc/wire/protocol';
import { encodeItem } from '../../lib/codec/registry';
import { FOR_EVER } from '../../lib/wait/options';

const GROUP = 7;
const stopping = new QueueConnectionError('the server is stopping');

/** A server that has room for one item at a time. */
function begin() {
  const connection = { isOpen: true, where: 'there', referenced: true, scheduleFlush: () => {} };
  const puts = new PendingPuts(connection as unknown as Connection);
  const opened = { windowItems: 1, windowBytes: 1e6, maxItemBytes: 1e6 } as unknown as Opened;
  puts.onOpened(opened, false);
  const place = puts.hold(GROUP);
  const put = (item: number) => puts.put(ItemBatch.kept(encodeItem(item)), FOR_EVER, { group: GROUP, place });
  const sent = (): number => {
    const frame: ClientFrame = {};
    puts.collect(frame);
    return frame.puts?.length ?? 0;
  };
  const apply = (): void => puts.onResult({ applied: [{ first: 1, count: 1 }] } as unknown as PutResult);
  return { puts, put, sent, apply };
}

test.each<[string, (puts: PendingPuts) => void]>([
  ['stops', (puts) => puts.failUnsent(stopping)],
  ['is given up', (puts) => puts.giveUpAll(() => stopping)],
])('where the server %s', async (_what, end) => {
  const { puts, put, sent, apply } = begin();
  const first = put(1);
  expect(sent()).toBe(1);
  const second = put(2);
  expect(sent()).toBe(0);
  end(puts);
  const third = put(3);
  apply();
  expect(sent()).toBe(0);
  expect(await first).toMatchObject({ applied: 1 });
  for (const put of [second, third]) expect(await put).toMatchObject({ applied: 0, failed: { error: stopping } });
});
