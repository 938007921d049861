/**
 * How other processes wake this thread's event loop: a named pipe beside the segments (docs/adr/0003), into which they write an
 * entry's tag. No thread stands between the ring and the loop, and a loop with nothing to do makes no wakeups.
 */
import type { Socket, SocketConstructorOpts } from 'node:net';
import { loadAddon } from './addon';
import type { NativeConfiguration } from './addon';
import type { NativeEntry } from './native-entry';
import { nodeNet } from '../../util/lazy-node';

/** As often does an entry look by itself that nobody rings: without a pipe, or where there is no thread to watch its peers. */
const POLL_MS = 10;
const TAG_BYTES = 4;
const BUFFER_BYTES = 64 * 1024;
/** No pipe holds less: one page. Most hold 64 KiB, but not the later ones of a user who has many (pipe-user-pages-soft). */
const LEAST_PIPE_BYTES = 4096;
/** Permissions that make one doorbell another than the next: who beside its owner may ring. */
const WRITERS = 0o022;
const GROUP_WRITES = 0o020;

export interface Ringable {
  /** Something may be ready: try again. */
  rung(): void;
}

type Audience = Pick<NativeConfiguration, 'permissions' | 'group'>;

class Doorbell {
  private readonly listeners = new Map<number, Ringable>();
  private nextTag = 1;
  private bell: { number: number; socket: Socket } | undefined;
  private rest = Buffer.alloc(0);

  constructor(
    private readonly audience: Audience,
    private readonly ended: () => void,
  ) {}

  add(listener: Ringable): number {
    const tag = this.nextTag++;
    this.listeners.set(tag, listener);
    return tag;
  }

  remove(tag: number): void {
    this.listeners.delete(tag);
    if (this.listeners.size === 0) this.close();
  }

  /** Has the entry rung here, by that tag. False: no ring reaches this thread, or not each. */
  hang(entry: NativeEntry, tag: number): boolean {
    this.bell ??= this.open();
    return this.bell !== undefined && entry.setBell(this.bell.number, tag);
  }

  /** Undefined: there are no pipes in this runtime, or no descriptors at the moment. */
  private open(): Doorbell['bell'] {
    if (process.versions.bun !== undefined || 'Deno' in globalThis) return undefined;
    try {
      return this.listen();
    } catch {
      return undefined; // who waits looks by itself, and asks again
    }
  }

  private listen(): Doorbell['bell'] {
    const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const { number, readFd } = loadAddon().createBell(this.audience.permissions, this.audience.group);
    // The types know `onread` for connecting sockets only; the constructor takes it too.
    const options = {
      fd: readFd,
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
    return { number, socket };
  }

  /** For good: the next one who comes has a new one. */
  private close(): void {
    if (this.bell !== undefined) {
      this.bell.socket.destroy();
      loadAddon().closeBell(this.bell.number);
    }
    this.ended();
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

/** One for each group of people who may ring. */
const doorbells = new Map<string, Doorbell>();

function doorbellFor({ permissions, group }: Audience): Doorbell {
  const audience = { permissions: permissions & WRITERS, group: (permissions & GROUP_WRITES) !== 0 ? group : 0 };
  const key = `${audience.permissions} ${audience.group}`;
  let doorbell = doorbells.get(key);
  if (doorbell === undefined) {
    doorbell = new Doorbell(audience, () => doorbells.delete(key));
    doorbells.set(key, doorbell);
  }
  return doorbell;
}

/** One entry's place at the thread's doorbell. */
export class EntryDoorbell {
  private doorbell: Doorbell | undefined;
  private tag = 0;
  /** Whether all that rings it reaches this thread. */
  private hears = false;
  private poll: NodeJS.Timeout | undefined;
  /** Those on whose behalf something waits. */
  private readonly watchers = new Set<object>();

  constructor(
    private readonly entry: NativeEntry,
    private readonly audience: Audience,
    private readonly listener: Ringable,
  ) {}

  /** Before the entry parks for the first time. Where there is no bell then, the looks ask for it. */
  attach(): void {
    if (this.doorbell !== undefined) return;
    this.doorbell = doorbellFor(this.audience);
    this.tag = this.doorbell.add(this.listener);
    this.hang(this.doorbell);
  }

  private hang(doorbell: Doorbell): void {
    this.hears = doorbell.hang(this.entry, this.tag);
  }

  /** While something waits, which says so each time before it sleeps. */
  watch(watcher: object): void {
    this.watchers.add(watcher);
    const polls = !this.hears || this.entry.mustPoll();
    if (polls) this.poll ??= setInterval(() => this.look(), POLL_MS).unref();
    else this.stopPolling();
  }

  /** Without a bell it asks for one first: whoever was rung before it came is among those who look then. */
  private look(): void {
    if (!this.hears) this.hang(this.doorbell!);
    this.listener.rung();
  }

  /** Nothing waits on its behalf any more. */
  rest(watcher: object): void {
    this.watchers.delete(watcher);
    if (this.watchers.size === 0) this.stopPolling();
  }

  private stopPolling(): void {
    clearInterval(this.poll);
    this.poll = undefined;
  }

  detach(): void {
    this.watchers.clear();
    this.stopPolling();
    this.doorbell?.remove(this.tag);
    this.doorbell = undefined;
  }
}
