/** The reply queues of the callers that a server answers: attached while they are used, and cleared away where their caller is gone. */
import { replyDescriptor } from '../descriptor/reply-descriptor';
import { QueueNotFoundError, QueueShutDownError } from '../errors';
import type { Queue } from '../queue/types';
import { resolveBeside } from '../resolve/registry';

const IDLE_MS = 2000;
/** A caller that does not read its replies holds up a server no longer than this. */
const LONGEST_PUT_MS = 10_000;

interface Port {
  queue: Queue;
  pid: number;
  usedAt: number;
  inUse: number;
}

export class ReplyPorts {
  /** Undefined inside: the caller is gone. */
  private readonly ports = new Map<string, Promise<Port | undefined>>();
  private sweeper: NodeJS.Timeout | undefined;

  constructor(private readonly requests: Queue) {}

  /** Runs `body` with the caller's reply queue; false: the caller is gone, and nothing was run. */
  async with(token: string, pid: number, body: (queue: Queue) => Promise<void>): Promise<boolean> {
    const port = await this.open(token, pid);
    if (port === undefined) return false;
    port.inUse++;
    try {
      await body(port.queue);
    } finally {
      port.inUse--;
      port.usedAt = performance.now();
    }
    return true;
  }

  /** Waits for room as long as the caller waits for the reply. A caller that is gone needs none. */
  async send(queue: Queue, reply: unknown, expiresAtMs: number | undefined): Promise<void> {
    const leftMs = expiresAtMs === undefined ? Infinity : expiresAtMs - Date.now();
    try {
      await queue.put(reply, { timeoutMs: Math.max(0, Math.min(LONGEST_PUT_MS, leftMs)) });
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (error instanceof QueueShutDownError || code === 'ERR_QUEUE_FULL' || code === 'ERR_QUEUE_CLOSED') return;
      throw error;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.sweeper);
    const ports = await Promise.all(this.ports.values());
    this.ports.clear();
    await Promise.all(ports.map((port) => port && leave(port)));
  }

  private open(token: string, pid: number): Promise<Port | undefined> {
    let opening = this.ports.get(token);
    if (opening === undefined) {
      opening = this.attach(token, pid);
      this.ports.set(token, opening);
      opening.catch(() => this.ports.delete(token));
    }
    this.sweeper ??= setInterval(() => void this.sweep(), IDLE_MS / 2).unref();
    return opening;
  }

  private async attach(token: string, pid: number): Promise<Port | undefined> {
    let queue: Queue | undefined;
    try {
      queue = resolveBeside(this.requests, replyDescriptor(this.requests.descriptor, token), 'never');
      // Types beyond this process say only at the first call that there is none.
      await queue.qsize();
    } catch (error) {
      await queue?.close();
      if (error instanceof QueueNotFoundError || error instanceof QueueShutDownError) return undefined;
      throw error;
    }
    return { queue, pid, usedAt: performance.now(), inUse: 0 };
  }

  private async sweep(): Promise<void> {
    const before = performance.now() - IDLE_MS;
    for (const [token, opening] of [...this.ports]) {
      const port = await opening.catch(() => undefined);
      if (port !== undefined && (port.inUse > 0 || port.usedAt > before)) continue;
      // One that is asked for meanwhile is attached anew.
      this.ports.delete(token);
      if (port !== undefined) await leave(port).catch(() => {});
    }
    if (this.ports.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }
}

/** What nobody will read any more is dropped with its queue. */
async function leave({ queue, pid }: Port): Promise<void> {
  if (pid !== 0 && pid !== process.pid) {
    const { attached } = await queue.stats().catch(() => ({ attached: undefined }));
    const isThere = attached?.some((entry) => entry.alive && entry.pid === pid) ?? true;
    if (!isThere) await queue.shutdown({ immediate: true }).catch(() => {});
  }
  await queue.close();
}
