/** What a client of the protocol can do that no client of ours does: it costs the server nothing that others need. */
import { EventEmitter, once } from 'node:events';
import { Duplex } from 'node:stream';
import * as grpc from '@grpc/grpc-js';
import { getLocalQueue } from '../../lib';
import { ClientStates } from '../../lib/server/client-state';
import { ServedQueue } from '../../lib/server/served-queue';
import { Session } from '../../lib/server/session';
import type { Call } from '../../lib/server/session';
import type { ClientFrame, ServerFrame } from '../../lib/transports/rpc/wire/protocol';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const MIB = 1024 * 1024;

test('gets for which its token has no right, more than a client may have waiting, in a few bytes', async () => {
  const { port } = await fixture.serve({ tokens: [{ token: 'putter', rights: ['put'] }, { token: 'all' }] });
  const hostile = await fixture.stream(port, 'putter');
  hostile.send({ gets: [{ request: 1, max: 1, count: 2 ** 32 - 1 }] });
  expect(await hostile.status).toMatchObject({
    code: grpc.status.INVALID_ARGUMENT,
    details: expect.stringContaining('4294967295 gets wait; at most 16384 may') as string,
  });
  const honest = fixture.client(port, { credentials: { token: 'all' } });
  expect(await honest.qsize()).toBe(0);
});

test('bytes beyond the window that the server said', async () => {
  const { port } = await fixture.serve({ maxsize: 1, maxMessageBytes: MIB });
  const hostile = await fixture.stream(port);
  for (let sequence = 1; sequence <= 16; sequence++)
    hostile.send({ puts: [{ sequence, items: { data: Buffer.alloc(MIB), count: 1 } }] });
  expect(await hostile.status).toMatchObject({
    code: grpc.status.INVALID_ARGUMENT,
    details: expect.stringContaining('bytes were put without an answer; the window is 4194304') as string,
  });
});

test('bytes that were answered do not count, those of a put again and again', async () => {
  const { port, backing } = await fixture.serve({ maxMessageBytes: MIB });
  const stream = await fixture.stream(port);
  const applied = (): number =>
    stream.frames
      .flatMap(({ putResult }) => putResult?.applied ?? [])
      .reduce((sum, { count }) => sum + Number(count), 0);
  for (let sequence = 1; sequence <= 30; sequence++) {
    stream.send({ puts: [{ sequence, items: { data: Buffer.alloc(MIB), count: 1 } }] });
    while (applied() < sequence) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await backing.qsize()).toBe(30);
});

/** The server's end of a stream whose other end reads when it is told to. */
class SlowReader extends Duplex {
  private proceed: (() => void) | undefined;
  readonly metadata = new grpc.Metadata();

  constructor() {
    super({ objectMode: true, writableHighWaterMark: 4, readableHighWaterMark: 2 });
  }

  override _read(): void {}

  override _write(_frame: ServerFrame, _encoding: string, done: () => void): void {
    this.proceed = done;
  }

  readOne(): void {
    const { proceed } = this;
    this.proceed = undefined;
    proceed?.();
  }
}

test('who does not read the answers is not read, until it does', async () => {
  const queue = getLocalQueue('hostile-client');
  fixture.later(() => queue.close());
  const call = new SlowReader();
  const served = new ServedQueue('q', queue, false, new ClientStates(1000, 10, 1000));
  const ended = new EventEmitter();
  const session = new Session(
    call as unknown as Call,
    {
      instance: Buffer.alloc(16),
      rememberMs: 1000,
      maxItemBytes: MIB,
      open: () => Promise.resolve(served),
      requestsOf: () => undefined,
      ended: () => void ended.emit('ended'),
    },
    { digest: undefined, mayOpen: () => true, may: () => true },
  );
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const say = (frame: ClientFrame): void => void call.push(frame);
  say({ open: { protocolVersion: 1, queueId: 'q' } });
  const asked = 100;
  for (let request = 1; request <= asked; request++) {
    say({ queries: [{ request }] });
    await turn();
  }
  // It has stopped, with what it was told unread.
  expect(call.isPaused()).toBe(true);
  const unread = call.readableLength;
  expect(unread).toBeGreaterThan(asked / 2);
  await turn();
  expect(call.readableLength).toBe(unread);
  while (call.readableLength > 0 || call.writableLength > 0) {
    call.readOne();
    await turn();
  }
  const over = once(ended, 'ended');
  call.destroy();
  await over;
  await session.end();
});
