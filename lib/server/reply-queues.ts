/**
 * The queues that replies to callers go through (see `caller` of sage-queue/work). The client that first opens one makes it, beside a queue
 * that is offered: of its type, owner and namespace, whatever else the client says. It goes with that client.
 */
import { QueueDescriptor } from '../descriptor/descriptor';
import { readReplyId, replyDescriptor } from '../descriptor/reply-descriptor';
import { QueueConnectionError, QueueExistsError, QueueNotFoundError } from '../errors';
import type { Queue, ResolveOptions } from '../queue/types';
import { clearAbandonedRepliesAtTimes } from '../resolve/abandoned-replies';
import { resolveDescriptor } from '../resolve/registry';
import type { ServedQueue } from './served-queue';

/** What a server keeps at a time: each may take a segment. */
const MOST = 1000;
const CAPACITY_BYTES = 1024 * 1024;
/** Of one in this process, which has no capacity. */
const MOST_REPLIES = 1024;
const SHARED = ['shm', 'sage_queue', 'auto'];
/** Types that can say that there is no such queue. */
const ATTACHABLE = [...SHARED, 'local', 'rpc'];

/** Who opens a stream, and how. */
export interface Opener {
  /** Empty: the client wants nothing to be remembered about it. */
  readonly client: string;
  readonly exclusive: boolean;
}

/** A stream whose end may be that of a reply queue. */
export interface OpenerSession {
  readonly client: string;
  /** The client is done for good. */
  readonly saidGoodbye: boolean;
}

interface Reply {
  /** The client that it was made for; undefined: a process beside the server has made it. */
  readonly maker: string | undefined;
  /** Streams of the maker. */
  streams: number;
  dropping: NodeJS.Timeout | undefined;
}

export class ReplyQueues {
  private readonly replies = new Map<ServedQueue, Reply>();

  constructor(
    /** How long one is kept for a client whose stream broke. */
    private readonly keepMs: number,
    /** A queue that clients may open; without a descriptor where its maker has given none. */
    private readonly offered: (queueId: string) => { descriptor: QueueDescriptor | undefined } | undefined,
    /** Nobody finds it any more. */
    private readonly forget: (served: ServedQueue) => void,
  ) {}

  /** The id of the queue whose replies go through this one; undefined: it is a queue like others. */
  requestsOf(queueId: string): string | undefined {
    const requests = readReplyId(queueId)?.requests;
    // Replies to replies there are none: who may open one queue could have any number.
    return requests === undefined || readReplyId(requests) !== undefined ? undefined : requests;
  }

  /** Makes the queue, or finds the one that is there. @throws QueueNotFoundError */
  async resolve(queueId: string, opener: Opener): Promise<{ queue: Queue; maker: string | undefined }> {
    const { requests, token } = readReplyId(queueId)!;
    const named = this.offered(requests);
    const missing = new QueueNotFoundError(`the server has no reply queue '${queueId}'`);
    if (named === undefined) throw missing;
    const descriptor = replyTo(named.descriptor, token);
    const attach = (create: ResolveOptions['create']): Queue => resolveDescriptor(descriptor, { create }) as Queue;
    if (opener.exclusive) {
      if (opener.client === '') throw new QueueConnectionError('a reply queue is made for clients with an id only');
      if (this.replies.size >= MOST) throw new QueueConnectionError(`the server has ${MOST} reply queues already`);
      // A server before this one may have been killed with the queues of its clients.
      if (named.descriptor !== undefined) clearAbandonedRepliesAtTimes(named.descriptor);
      return { queue: attach('if-missing'), maker: opener.client };
    }
    if (!ATTACHABLE.includes(descriptor.queueType)) throw missing;
    const queue = attach('never');
    try {
      // Types beyond this process say only at the first call that there is none.
      await queue.qsize();
    } catch (error) {
      await queue.close();
      throw error;
    }
    return { queue, maker: undefined };
  }

  made(served: ServedQueue, maker: string | undefined): void {
    this.replies.set(served, { maker, streams: 0, dropping: undefined });
  }

  /** @throws QueueExistsError for who wants to make one that another client has made */
  opened(served: ServedQueue, { client, exclusive }: Opener): void {
    const reply = this.replies.get(served);
    if (reply === undefined) return;
    const isMaker = reply.maker !== undefined && reply.maker === client;
    if (exclusive && !isMaker) throw new QueueExistsError(`the server has a queue '${served.queueId}' already`);
    if (!isMaker) return;
    reply.streams++;
    clearTimeout(reply.dropping);
  }

  /** @returns whether the queue is a reply queue */
  ended(served: ServedQueue, session: OpenerSession): boolean {
    const reply = this.replies.get(served);
    if (reply === undefined) return false;
    if (reply.maker === undefined) {
      if (served.sessions === 0) void this.letGo(served, false);
    } else if (reply.maker === session.client && --reply.streams === 0) {
      if (session.saidGoodbye) void this.letGo(served, true);
      else reply.dropping = setTimeout(() => void this.letGo(served, true), this.keepMs).unref();
    }
    return true;
  }

  /** With all that nobody will read. */
  async dropAll(): Promise<void> {
    await Promise.all([...this.replies].map(([served, { maker }]) => this.letGo(served, maker !== undefined)));
  }

  private async letGo(served: ServedQueue, drop: boolean): Promise<void> {
    clearTimeout(this.replies.get(served)?.dropping);
    this.replies.delete(served);
    this.forget(served);
    await (drop ? served.drop() : served.close()).catch(() => {});
  }
}

function replyTo(requests: QueueDescriptor | undefined, token: string): QueueDescriptor {
  if (requests === undefined || requests.queueType === 'ray_actor')
    return QueueDescriptor.createLocalQueue(`served.reply.${token}`, { maxsize: MOST_REPLIES });
  const { queueType } = requests;
  if (SHARED.includes(queueType))
    return replyDescriptor(requests, token, { maxsize: 0, capacity_bytes: CAPACITY_BYTES });
  return replyDescriptor(requests, token, queueType === 'local' ? { maxsize: MOST_REPLIES } : {});
}
