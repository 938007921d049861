import { QueueClosedError, QueueError } from '../errors';
import { isThenable } from '../util/thenable';
import type { Awaitable, Queue } from '../queue/types';
import { describeValue } from '../util/describe-value';
import { QueueConsumer } from './consumer';
import { readServeOptions, requireHandler, requireQueue } from './options';
import { plainThrownReply, readRequest, refusedReply, thrownReply, valueReply } from './request';
import type { Request } from './request';
import { ReplyPorts } from './reply-ports';
import type { ConsumeOptions, Consumer, Job } from './types';

/** What `serve` takes. */
export type ServeOptions<Req> = Omit<ConsumeOptions<Req>, 'batch' | 'deadLetter' | 'drop'>;

/**
 * Answers requests that come through `queue`; many processes may serve one. What the handler throws arrives as the caller's RemoteError
 * (name, message, cause); so does a timeout. A request whose time is over, or whose caller is gone, is skipped. One whose server died goes to another one,
 * up to `maxDeliveries` times where that is given, and then its caller is told.
 *
 * @example
 * const server = serve(requests, async ({ file, width }) => resize(file, width), { concurrency: 8 });
 * process.once('SIGTERM', () => void server.stop());
 */
export function serve<Req, Res>(
  queue: Queue,
  handler: (request: Req, job: Job) => Awaitable<Res>,
  options?: ServeOptions<Req>,
): Consumer {
  requireQueue(queue, 'serve');
  requireHandler(handler);
  const given = readServeOptions(options as ConsumeOptions<unknown>);
  const ports = new ReplyPorts(queue);
  const { onError } = options ?? {};
  const server = new QueueConsumer<unknown>(
    queue,
    (item, job) => answer(ports, readOrRefuse(item), handler as (body: unknown, job: Job) => unknown, job),
    {
      ...given,
      onError:
        onError === undefined
          ? () => {}
          : (error, item, job) => onError(error, (readRequest(item)?.body ?? item) as Req, job),
      bury: async (item, error, { signal }) => {
        const request = readRequest(item);
        if (request !== undefined) await tellCaller(ports, request, error, signal);
      },
      ended: (failure) => {
        ports.close().catch(() => {});
        // Whoever has closed the queue knows.
        if (failure?.error instanceof QueueClosedError) server.done.catch(() => {});
      },
    },
  );
  return server;
}

function readOrRefuse(item: unknown): Request {
  const request = readRequest(item);
  if (request === undefined)
    throw new TypeError(`Requests come from caller(); ${describeValue(item)} is none, and nobody can be answered.`);
  return request;
}

/** Runs the handler, unless the caller waits no longer, or is gone. */
async function answer(
  ports: ReplyPorts,
  request: Request,
  handler: (body: unknown, job: Job) => unknown,
  job: Job,
): Promise<void> {
  const { id, token, pid, expiresAtMs, body } = request;
  if (expiresAtMs !== undefined && Date.now() >= expiresAtMs) return;
  const port = ports.enter(token, pid);
  try {
    const replies = port.queue ?? (await port.opening);
    if (replies === undefined) return;
    const given = handler(body, job);
    const value: unknown = isThenable(given) ? await given : given;
    try {
      await ports.send(replies, request, valueReply(id, value));
    } catch (error) {
      if (!isUnsendable(error)) throw error;
      await ports.send(replies, request, refusedReply(id, error));
    }
  } finally {
    ports.leave(port);
  }
}

async function tellCaller(ports: ReplyPorts, request: Request, error: unknown, signal: AbortSignal): Promise<void> {
  const { id, token, pid } = request;
  const port = ports.enter(token, pid);
  try {
    const replies = port.queue ?? (await port.opening);
    if (replies === undefined) return;
    try {
      await ports.send(replies, request, thrownReply(id, error), signal);
    } catch (unsendable) {
      if (!isUnsendable(unsendable)) throw unsendable;
      // A cause that no codec takes, or one too long.
      await ports.send(replies, request, plainThrownReply(id, error), signal);
    }
  } finally {
    ports.leave(port);
  }
}

const isUnsendable = (error: unknown): error is QueueError =>
  error instanceof QueueError && ['ERR_ITEM_TOO_LARGE', 'ERR_ITEM_SERIALIZATION'].includes(error.code);
