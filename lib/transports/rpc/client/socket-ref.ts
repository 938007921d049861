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
/** Streams that hold the loop: those that are up by their peer, and those on their way, whose peer is not known yet, by their port. */
const refsByPeer = new Map<string, Set<SocketRef>>();
const refsByPort = new Map<number, Set<SocketRef>>();

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

function portOf(peer: string): number {
  return Number(peer.slice(peer.lastIndexOf(':') + 1));
}

function enter<K>(refs: Map<K, Set<SocketRef>>, key: K, ref: SocketRef): void {
  refs.set(key, (refs.get(key) ?? new Set()).add(ref));
}

function leave<K>(refs: Map<K, Set<SocketRef>>, key: K, ref: SocketRef): void {
  const others = refs.get(key);
  others?.delete(ref);
  if (others?.size === 0) refs.delete(key);
}

function update(peer: string): void {
  const held = refsByPeer.has(peer) || refsByPort.has(portOf(peer));
  for (const socket of socketsByPeer.get(peer) ?? []) {
    // One that is gone would remember it until it connects.
    if (socket.destroyed) continue;
    if (held) socket.ref();
    else socket.unref();
  }
}

/** One stream's say: a connection holds the loop while any of its streams wants it to. */
export class SocketRef {
  held = true;
  private peer: string | undefined;
  private port: number | undefined;

  /** A stream is on its way: any connection to the port may be its own, and none of them may let go of the loop. */
  seek(port: number): void {
    this.release();
    this.port = port;
    this.apply();
  }

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
    const { peer, port } = this;
    this.peer = this.port = undefined;
    if (peer !== undefined) leave(refsByPeer, peer, this);
    if (port !== undefined) leave(refsByPort, port, this);
    this.update(peer, port);
  }

  private apply(): void {
    const { peer, port } = this;
    const change = this.held ? enter : leave;
    if (peer !== undefined) change(refsByPeer, peer, this);
    if (port !== undefined) change(refsByPort, port, this);
    this.update(peer, port);
  }

  private update(peer: string | undefined, port: number | undefined): void {
    if (peer !== undefined) update(peer);
    if (port === undefined) return;
    for (const other of socketsByPeer.keys()) if (portOf(other) === port) update(other);
  }
}
