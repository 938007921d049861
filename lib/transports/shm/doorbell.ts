/**
 * How other processes wake this thread's event loop: a pipe, whose write end they open and write a handle's tag into. No thread
 * stands between the ring and the loop, and a loop with nothing to do makes no wakeups.
 */
import type { Socket, SocketConstructorOpts } from 'node:net';
import { loadAddon } from './addon';
import type { NativeHandle } from './addon';
import { nodeNet } from '../../util/lazy-node';

/** As often does a handle look by itself that some peer cannot ring (another user's process, a runtime without pipes). */
const POLL_MS = 10;
/** As often does it look whether such a peer has come, where the permissions of the segment let one. */
const OPEN_POLL_MS = 100;
const OTHERS_MAY = 0o066;
const TAG_BYTES = 4;
const BUFFER_BYTES = 64 * 1024;
/** No pipe holds less: one page. Most hold 64 KiB, but not the later ones of a user who has many (pipe-user-pages-soft). */
const LEAST_PIPE_BYTES = 4096;

export interface Ringable {
  /** Something may be ready: try again. */
  rung(): void;
}

class Doorbell {
  private readonly listeners = new Map<number, Ringable>();
  private nextTag = 1;
  private pipe: { readFd: number; writeFd: number; inode: number } | undefined;
  private socket: Socket | undefined;
  private rest = Buffer.alloc(0);

  add(handle: NativeHandle, listener: Ringable): number {
    this.open();
    const tag = this.nextTag++;
    this.listeners.set(tag, listener);
    if (this.pipe !== undefined) handle.setBell(this.pipe.writeFd, this.pipe.inode, tag);
    return tag;
  }

  remove(tag: number): void {
    this.listeners.delete(tag);
    if (this.listeners.size === 0) this.close();
  }

  /** Whether rings reach this thread at all. */
  get works(): boolean {
    return this.pipe !== undefined;
  }

  private open(): void {
    if (this.pipe !== undefined || process.versions.bun !== undefined || 'Deno' in globalThis) return;
    const pipe = loadAddon().createBell();
    const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    // The types know `onread` for connecting sockets only; the constructor takes it too.
    const options = {
      fd: pipe.readFd,
      readable: true,
      writable: false,
      onread: {
        buffer,
        callback: (count: number) => {
          this.ring(buffer.subarray(0, count));
          return true;
        },
      },
    };
    const socket = new (nodeNet().Socket)(options as SocketConstructorOpts);
    // Reading starts with the first listener for data; with `onread` it is the callback that gets them.
    socket.on('error', () => this.ringAll());
    socket.resume();
    socket.unref();
    this.pipe = pipe;
    this.socket = socket;
  }

  private close(): void {
    this.socket?.destroy();
    if (this.pipe !== undefined) loadAddon().closeBell(this.pipe.writeFd);
    this.socket = undefined;
    this.pipe = undefined;
    this.rest = Buffer.alloc(0);
  }

  private ring(bytes: Buffer): void {
    // A pipe that was full, as this one may have been, has dropped tags.
    if (bytes.length >= LEAST_PIPE_BYTES) return this.ringAll();
    const all = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    const whole = all.length - (all.length % TAG_BYTES);
    const tags = new Set<number>();
    for (let offset = 0; offset < whole; offset += TAG_BYTES) tags.add(all.readUInt32LE(offset));
    this.rest = whole === all.length ? this.rest.subarray(0, 0) : Buffer.from(all.subarray(whole));
    for (const tag of tags) this.listeners.get(tag)?.rung();
  }

  private ringAll(): void {
    for (const listener of [...this.listeners.values()]) listener.rung();
  }
}

const doorbell = new Doorbell();

/** One handle's place at the bell. */
export class BellPull {
  private tag: number | undefined;
  private poll: NodeJS.Timeout | undefined;
  private pollMs = Infinity;
  private readonly open: boolean;

  constructor(
    private readonly handle: NativeHandle,
    mode: number,
    private readonly listener: Ringable,
  ) {
    this.open = (mode & OTHERS_MAY) !== 0;
  }

  /** Before the handle parks for the first time. */
  attach(): void {
    this.tag ??= doorbell.add(this.handle, this.listener);
  }

  /** While something waits. */
  watch(): void {
    if (this.pollMs === POLL_MS) return;
    const pollMs = !doorbell.works || this.handle.mustPoll() ? POLL_MS : this.open ? OPEN_POLL_MS : Infinity;
    if (pollMs === this.pollMs) return;
    this.rest();
    this.pollMs = pollMs;
    if (pollMs < Infinity) this.poll = setInterval(() => this.listener.rung(), pollMs).unref();
  }

  rest(): void {
    clearInterval(this.poll);
    this.poll = undefined;
    this.pollMs = Infinity;
  }

  detach(): void {
    this.rest();
    if (this.tag !== undefined) doorbell.remove(this.tag);
    this.tag = undefined;
  }
}
