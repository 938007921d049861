/** Whether sockets hold the event loop, against sockets of the test's own. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { SocketRef, unwatchPort, watchPort } from '../../lib/transports/rpc/client/socket-ref';

/** Node warns of the eleventh listener. */
const STREAMS = 25;

test('streams that end with their connection leave nothing on its socket', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  watchPort(port);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const listening = socket.listenerCount('connect');
  const refs = Array.from({ length: STREAMS }, () => new SocketRef());
  for (const ref of refs) ref.attach(`127.0.0.1:${port}`);
  // Its streams hear of the end before the socket says that it is closed.
  socket.destroy();
  for (const ref of refs) ref.release();
  expect(socket.listenerCount('connect')).toBe(listening);
  await once(socket, 'close');
  unwatchPort(port);
  server.close();
  await once(server, 'close');
});
