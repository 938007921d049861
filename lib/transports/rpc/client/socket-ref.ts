/**
 * Whether streams keep the process alive. gRPC holds the event loop for as long as a stream is open; a queue handle shall
 * hold it only while one of its calls waits. gRPC offers no switch for that, so the sockets are noted as Node announces them;
 * the connection of a stream is then found by its remote address.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** How many connections each port has; sockets to other ports are none of our business. */
const watchedPorts = new Map<number, number>();
const socketsByPeer = new Map<string, Set<Socket>>();
const refsByPeer = new Map<string, Set<SocketRef>>();

function note(message: unknown): void {
  const { socket } = message as { socket: Socket };
  socket.once('connect', () => {
    const port = socket.remotePort ?? 0;
    if (!watchedPorts.has(port)) return;
    const peer = peerOf(socket.remoteAddress ?? '', port);
    const sockets = socketsByPeer.get(peer) ?? new Set();
    socketsByPeer.set(peer, sockets.add(socket));
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) socketsByPeer.delete(peer);
    });
  });
}

/** To be called before a connection to the port is made; undone by unwatchPort. */
export function watchPort(port: number): void {
  if (watchedPorts.size === 0) subscribe('net.client.socket', note);
  watchedPorts.set(port, (watchedPorts.get(port) ?? 0) + 1);
}

export function unwatchPort(port: number): void {
  const left = (watchedPorts.get(port) ?? 1) - 1;
  if (left > 0) watchedPorts.set(port, left);
  else watchedPorts.delete(port);
  if (watchedPorts.size === 0) unsubscribe('net.client.socket', note);
}

function peerOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** One stream's say: a connection holds the loop while any of its streams wants it to. */
export class SocketRef {
  held = true;
  private peer: string | undefined;

  /** The stream is up, on a connection to this peer (host:port). */
  attach(peer: string): void {
    this.release();
    this.peer = peer;
    this.apply();
  }

  set(held: boolean): void {
    if (held === this.held) return;
    this.held = held;
    this.apply();
  }

  /** The stream is gone. */
  release(): void {
    if (this.peer === undefined) return;
    const refs = refsByPeer.get(this.peer);
    refs?.delete(this);
    if (refs?.size === 0) refsByPeer.delete(this.peer);
    this.peer = undefined;
  }

  private apply(): void {
    if (this.peer === undefined) return;
    const refs = refsByPeer.get(this.peer) ?? new Set();
    if (this.held) refsByPeer.set(this.peer, refs.add(this));
    else refs.delete(this);
    for (const socket of socketsByPeer.get(this.peer) ?? []) {
      if (refs.size > 0) socket.ref();
      else socket.unref();
    }
  }
}
