/** Replies that a caller cannot decode: the call hears of it where it is known which, and else the process. */
import { registerCodec } from '../../lib';
import { serve } from '../../lib/work';
import { attach, describeQueue } from '../shm/child';
import { later, track } from './queues';
import { calling, errorOf } from './serve-contract';

registerCodec({
  name: 'forgetful',
  id: 79,
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes) => {
    const text = Buffer.from(bytes).toString();
    if (text.includes('unreadable')) throw new Error('cannot read that');
    return JSON.parse(text) as unknown;
  },
});

const UNREADABLE = { code: 'ERR_ITEM_SERIALIZATION' };

function scene() {
  const queue = attach<unknown>(describeQueue('sage_queue', { codec: 'forgetful' }));
  later(async () => {
    queue.unlinkSync();
    await queue.close();
  });
  const handler = (kind: string): string => (kind === 'bad' ? ['un', 'readable'].join('') : kind);
  track(serve<string, string>(queue, handler, { concurrency: 4 }));
  return calling<string, string>(queue);
}

test('is the error of the only call that can be meant, each time', async () => {
  const asking = scene();
  expect(await asking.call('first')).toBe('first');
  expect(await errorOf(asking.call('bad'))).toMatchObject(UNREADABLE);
  expect(await asking.call('second')).toBe('second');
  expect(await errorOf(asking.call('bad'))).toMatchObject(UNREADABLE);
});

test('is a warning where it may be that of several, and fails none of them', async () => {
  const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const asking = scene();
  const bad = errorOf(asking.call('bad', { timeoutMs: 500 }));
  const good = asking.call('good');
  expect(await good).toBe('good');
  expect(await bad).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
  // One that was given up may still be answered so.
  expect(await errorOf(asking.call('bad', { timeoutMs: 500 }))).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
  const told = warnings.mock.calls.map(([, options]) => (options as { code: string }).code);
  warnings.mockRestore();
  expect(told).toEqual(['SAGE_QUEUE_REPLY_UNREADABLE', 'SAGE_QUEUE_REPLY_UNREADABLE']);
});
