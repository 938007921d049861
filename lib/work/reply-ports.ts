/** The reply queues of the callers that a server answers: attached while they are used, and cleared away where their caller is gone. */
import { replyDescriptor } from '../descriptor/reply-descriptor';
import { QueueFullError, QueueNotFoundError, QueueShutDownError } from '../errors';
import type { Queue } from '../queue/types';
import { clearAbandonedReplies } from '../resolve/abandoned-replies';
import { resolveBeside } from '../resolve/registry';
import type { Request } from './request';

const LOOK_MS = 1000;
/** A port that was not used at so many looks in a row is let go of. */
const IDLE_LOOKS = 2;
/** At every so many-th look the queues of callers that died while no server held them are cleared away. */
const LOOKS_BETWEEN_CLEARINGS = 5;
/** A caller that does not read its replies holds up a place of a server no longer than this. */
const LONGEST_PUT_MS = 10_000;

const NO_ROOM = `The caller left no room for its reply for ${LONGEST_PUT_MS / 1000} s: it does not read, or its capacityBytes are too few.`;
const LONGEST_WAIT = { timeoutMs: LONGEST_PUT_MS };

/** The way to one caller. */
interface Port {
  /** Undefined: it is not attached yet, or the caller is gone. */
  queue: Queue | undefined;
  /** Resolves when it is known which. */
  opening: Promise<Queue | undefined> | undefined;
  readonly pid: number;
  inUse: number;
  /** Looks since it was used. */
  idle: number;
}

export class ReplyPorts {
  private readonly ports = new Map<string, Port>();
  private readonly sweeper: NodeJS.Timeout;
  private looks = 0;

  constructor(private readonly requests: Queue) {
    clearAbandonedReplies(requests.descriptor);
    this.sweeper = setInterval(() => void this.sweep(), LOOK_MS).unref();
  }

  /** In use from here on, so that the sweeper does not take it away. Ended by `leave`. */
  enter(token: string, pid: number): Port {
    const port = this.ports.get(token) ?? this.open(token, pid);
    port.inUse++;
    port.idle = 0;
    return port;
  }

  leave(port: Port): void {
    port.inUse--;
  }

  /**
   * Waits for room as long as the caller waits for the reply, and no longer than `LONGEST_PUT_MS`. A caller that is gone, or waits no longer,
   * needs none. @throws QueueFullError when one that still waits leaves no room
   */
  send(to: Queue, { pid, expiresAtMs = Infinity }: Request, reply: unknown, signal?: AbortSignal): Promise<void> {
    const leftMs = Math.max(0, expiresAtMs - Date.now());
    const isPatient = leftMs > LONGEST_PUT_MS;
    const wait =
      isPatient && signal === undefined ? LONGEST_WAIT : { timeoutMs: Math.min(LONGEST_PUT_MS, leftMs), signal };
    return to.put(reply, wait).catch(async (error: unknown) => {
      if (await isUnneeded(error, to, isPatient ? pid : undefined)) return;
      throw error instanceof QueueFullError ? new QueueFullError(NO_ROOM, { cause: error }) : error;
    });
  }

  async close(): Promise<void> {
    clearInterval(this.sweeper);
    const ports = [...this.ports.values()];
    this.ports.clear();
    await Promise.all(ports.map(letGo));
  }

  private open(token: string, pid: number): Port {
    const port: Port = { queue: undefined, opening: undefined, pid, inUse: 0, idle: 0 };
    this.ports.set(token, port);
    port.opening = this.attach(token)
      .then((queue) => (port.queue = queue))
      .catch((error: unknown) => {
        if (this.ports.get(token) === port) this.ports.delete(token);
        throw error;
      });
    return port;
  }

  /** @returns undefined when the caller is gone */
  private async attach(token: string): Promise<Queue | undefined> {
    let queue: Queue | undefined;
    try {
      queue = resolveBeside(this.requests, replyDescriptor(this.requests.descriptor, token), 'never');
      // Types beyond this process say only at the first call that there is none.
      await queue.qsize();
      return queue;
    } catch (error) {
      await queue?.close();
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  private async sweep(): Promise<void> {
    if (++this.looks % LOOKS_BETWEEN_CLEARINGS === 0) clearAbandonedReplies(this.requests.descriptor);
    for (const [token, port] of [...this.ports]) {
      if (port.inUse > 0 || ++port.idle < IDLE_LOOKS) continue;
      // One that is asked for meanwhile is attached anew.
      this.ports.delete(token);
      await letGo(port).catch(() => {});
    }
  }
}

/** @param pid of a caller that waits longer than was waited for room */
async function isUnneeded(error: unknown, queue: Queue, pid: number | undefined): Promise<boolean> {
  if (isGone(error)) return true;
  const { code } = error as { code?: unknown };
  if (error instanceof QueueFullError) return pid === undefined || !(await isThere(queue, pid));
  // Where the queue went with its caller, it says so when it is asked once more.
  return code === 'ERR_QUEUE_CONNECTION' && isGone(await queue.qsize().catch((again: unknown) => again));
}

/** The caller, as far as its reply queue knows. */
async function isThere(queue: Queue, pid: number): Promise<boolean> {
  if (pid === 0 || pid === process.pid) return true;
  const { attached } = await queue.stats().catch(() => ({ attached: undefined }));
  return attached?.some((entry) => entry.alive && entry.pid === pid) ?? true;
}

const isGone = (error: unknown): boolean => error instanceof QueueNotFoundError || error instanceof QueueShutDownError;

/** What nobody will read any more is dropped with its queue. */
async function letGo(port: Port): Promise<void> {
  await port.opening?.catch(() => {});
  const { queue, pid } = port;
  if (queue === undefined) return;
  if (!(await isThere(queue, pid))) await queue.shutdown({ immediate: true }).catch(() => {});
  await queue.close();
}
