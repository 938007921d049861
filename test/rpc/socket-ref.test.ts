/** Whether sockets hold the event loop, against sockets of the test's own. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { SocketRef, unwatchPort, watchPort } from '../../lib/transports/rpc/client/socket-ref';

/** Node warns of the eleventh listener. */
const STREAMS = 25;

/** Those that hold the loop; jest has some of its own. */
const timers = (): number => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;

async function connected(): Promise<{ socket: Socket; port: number; end: () => Promise<void> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  watchPort(port);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const end = async (): Promise<void> => {
    socket.destroy();
    if (!socket.closed) await once(socket, 'close');
    unwatchPort(port);
    server.close();
    await once(server, 'close');
  };
  return { socket, port, end };
}

test('a call of one of many handles asks nothing of their sockets, and holds the loop', async () => {
  const { socket, port, end } = await connected();
  const refs = Array.from({ length: STREAMS }, () => new SocketRef());
  for (const ref of refs) {
    ref.set(false);
    ref.attach(`127.0.0.1:${port}`);
  }
  const asked = [jest.spyOn(socket, 'ref'), jest.spyOn(socket, 'unref')];
  const [one, other] = refs as [SocketRef, SocketRef];
  const before = timers();
  const held: number[] = [];
  const tell = (ref: SocketRef, holds: boolean): void => {
    ref.set(holds);
    held.push(timers() - before);
  };
  tell(one, true);
  tell(other, true);
  tell(one, false);
  tell(other, false);
  expect(held).toEqual([1, 1, 1, 0]);
  for (const calls of asked) expect(calls).not.toHaveBeenCalled();
  for (const ref of refs) ref.release();
  await end();
});

test('streams that end with their connection leave nothing on its socket', async () => {
  const { socket, port, end } = await connected();
  const listening = socket.listenerCount('connect');
  const refs = Array.from({ length: STREAMS }, () => new SocketRef());
  // Its streams hear of the end before the socket says that it is closed.
  socket.destroy();
  for (const ref of refs) ref.attach(`127.0.0.1:${port}`);
  expect(socket.listenerCount('connect')).toBe(listening);
  for (const ref of refs) ref.release();
  await end();
});
