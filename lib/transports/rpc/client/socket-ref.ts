/**
 * Whether streams keep the process alive. gRPC holds the event loop for as long as a stream is open; a queue handle shall
 * hold it only while one of its calls waits. gRPC offers no switch for that, so the sockets are noted as Node announces them;
 * the connection of a stream is then found by its remote address, and lets go of the loop. What holds it is one timer for all
 * streams: which socket is whose is not known, and to tell them all at each call would take as long as there are handles.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** How many connections each port has; sockets to other ports are none of our business. */
const watchedPorts = new Map<number, number>();
const socketsByPeer = new Map<string, Set<Socket>>();
/** The longest that a timer can be. */
const FAR_MS = 2 ** 31 - 1;
/** How many streams hold the loop, and the timer that does it for them. */
let holders = 0;
let hold: NodeJS.Timeout | undefined;

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

/** gRPC has them hold the loop with each stream that begins. */
function letGo(peer: string): void {
  for (const socket of socketsByPeer.get(peer) ?? []) {
    // One that is gone would remember it until it connects.
    if (!socket.destroyed) socket.unref();
  }
}

/** One stream's say: the loop is held while any stream wants it to be. */
export class SocketRef {
  private isWanted = true;
  /** The stream is up, or on its way. */
  private isUnderWay = false;
  private holds = false;

  get held(): boolean {
    return this.isWanted;
  }

  /** A stream is on its way. */
  seek(): void {
    this.isUnderWay = true;
    this.apply();
  }

  /** The stream is up, on a connection to this peer (host:port). */
  attach(peer: string): void {
    this.seek();
    letGo(peer);
  }

  set(held: boolean): void {
    this.isWanted = held;
    this.apply();
  }

  /** The stream is gone. */
  release(): void {
    this.isUnderWay = false;
    this.apply();
  }

  private apply(): void {
    const holds = this.isWanted && this.isUnderWay;
    if (holds === this.holds) return;
    this.holds = holds;
    holders += holds ? 1 : -1;
    if (holders > 0) hold ??= setInterval(() => {}, FAR_MS);
    else {
      clearInterval(hold);
      hold = undefined;
    }
  }
}
