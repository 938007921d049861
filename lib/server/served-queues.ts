/** The queues that a server offers, as far as clients have asked for them. */
import { QueueDescriptor } from '../descriptor/descriptor';
import { QueueConnectionError, QueueNotFoundError } from '../errors';
import { wrapQueue } from '../queue/adapter/wrap-queue';
import type { Queue, QueueLike } from '../queue/types';
import { resolveDescriptor } from '../resolve/registry';
import { ClientStates } from './client-state';
import { ReplyQueues } from './reply-queues';
import type { Opener, OpenerSession } from './reply-queues';
import { ServedQueue } from './served-queue';

const MOST_RECORDS = 100_000;

type Offers = Record<string, QueueDescriptor | QueueLike> | ((queueId: string) => QueueDescriptor | undefined);

export class ServedQueues {
  private readonly opened = new Map<string, Promise<ServedQueue>>();
  private readonly replies: ReplyQueues;
  private closed = false;

  constructor(
    private readonly offers: Offers | undefined,
    private readonly rememberMs: number,
    /** How long what a client may have is kept for it. */
    private readonly keepMs: number,
  ) {
    this.replies = new ReplyQueues(
      keepMs,
      (queueId) => {
        const named = this.offered(queueId);
        if (named === undefined) return undefined;
        return { descriptor: isDescriptor(named) ? named : (named as Partial<Queue>).descriptor };
      },
      ({ queueId }) => this.opened.delete(queueId),
    );
  }

  async open(queueId: string, opener: Opener): Promise<ServedQueue> {
    let served: ServedQueue | undefined;
    // One that is let go of meanwhile is no more to be had.
    for (let opening; served === undefined || this.opened.get(queueId) !== opening;) {
      opening = this.opened.get(queueId);
      served = await opening?.catch(() => undefined);
      served ??= await (opening = this.openAnew(queueId, opener));
    }
    this.replies.opened(served, opener);
    served.sessions++;
    return served;
  }

  /** As ReplyQueues.requestsOf, but for a queue that is offered under its whole id. */
  requestsOf(queueId: string): string | undefined {
    const { offers } = this;
    if (typeof offers === 'object' && Object.hasOwn(offers, queueId)) return undefined;
    const requests = this.replies.requestsOf(queueId);
    return requests === undefined || this.offered(requests) === undefined ? undefined : requests;
  }

  private offered(queueId: string): QueueDescriptor | QueueLike | undefined {
    const { offers } = this;
    if (typeof offers === 'function') return offers(queueId) ?? undefined;
    return offers !== undefined && Object.hasOwn(offers, queueId) ? (offers[queueId] ?? undefined) : undefined;
  }

  /** One of its sessions has ended. @param isStopping then all are closed together */
  left(served: ServedQueue, session: OpenerSession, isStopping: boolean): void {
    served.sessions--;
    served.leftAt = performance.now();
    if (isStopping || this.replies.ended(served, session)) return;
    if (served.sessions > 0 || !served.shutDown || !served.owned) return;
    // Shut down and nobody attached: the next one to come starts anew.
    this.opened.delete(served.queueId);
    void served.close().catch(() => {});
  }

  private openAnew(queueId: string, opener: Opener): Promise<ServedQueue> {
    if (this.closed) throw new QueueConnectionError('the server is stopping');
    const opening = this.opened.get(queueId) ?? this.resolve(queueId, opener);
    this.opened.set(queueId, opening);
    opening.catch(() => {
      if (this.opened.get(queueId) === opening) this.opened.delete(queueId);
    });
    return opening;
  }

  private async resolve(queueId: string, opener: Opener): Promise<ServedQueue> {
    const clients = new ClientStates(this.rememberMs, MOST_RECORDS, this.keepMs);
    if (this.requestsOf(queueId) !== undefined) {
      const { queue, maker } = await this.replies.resolve(queueId, opener);
      const served = new ServedQueue(queueId, queue, true, clients);
      this.replies.made(served, maker);
      return served;
    }
    const named = this.offered(queueId);
    if (named === undefined) throw new QueueNotFoundError(`the server offers no queue '${queueId}'`);
    if (isDescriptor(named)) return new ServedQueue(queueId, resolveDescriptor(named), true, clients);
    const descriptor = new QueueDescriptor({ queueId, queueType: 'served' });
    return new ServedQueue(queueId, wrapQueue(named, descriptor), false, clients);
  }

  /** All are closed; one that cannot be keeps no other one open. @throws what the first of those said */
  async close(): Promise<void> {
    this.closed = true;
    await this.replies.dropAll();
    const opened = await Promise.allSettled(this.opened.values());
    this.opened.clear();
    const closed = await Promise.allSettled(
      opened.map(async (served) => (served.status === 'fulfilled' ? served.value.close() : undefined)),
    );
    const failed = closed.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** At times: clients that were not seen for long are forgotten, and queues. */
  async sweep(): Promise<void> {
    for (const served of await Promise.allSettled(this.opened.values())) {
      if (served.status === 'fulfilled') await this.sweepQueue(served.value).catch(() => {});
    }
  }

  /** A function may offer ever new queues: of those that nobody has used for long, and that are empty, nothing is kept. */
  private async sweepQueue(served: ServedQueue): Promise<void> {
    served.clients.sweep();
    const isUnused = (): boolean => served.sessions === 0 && performance.now() - served.leftAt > this.rememberMs;
    if (typeof this.offers !== 'function' || !served.owned || !isUnused() || !(await served.isEmpty())) return;
    if (!isUnused() || !this.opened.delete(served.queueId)) return;
    await served.close();
  }
}

/** Also one that was made by another copy of the package. */
export function isDescriptor(value: unknown): value is QueueDescriptor {
  const { queueType, put } = (value ?? {}) as Partial<QueueDescriptor & QueueLike>;
  return value instanceof QueueDescriptor || (typeof queueType === 'string' && typeof put !== 'function');
}

export function isQueueLike(value: unknown): value is QueueLike {
  const queue = (value ?? {}) as Partial<QueueLike>;
  return (['put', 'get', 'empty', 'qsize'] as const).every((name) => typeof queue[name] === 'function');
}
