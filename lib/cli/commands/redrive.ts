import { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueError } from '../../errors';
import { endLeases } from '../../queue/lease-batch';
import type { Lease, Queue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { loadAddon } from '../../transports/shm/addon';
import { EXIT_FAILED, EXIT_OK } from '../command';
import type { Arguments, Command } from '../command';
import { CREDENTIALS_HELP, credentialOptions, credentialsOf } from '../credentials';
import { Interrupted, interruption } from '../io/interrupt';
import { leaseThere, readItem, sizeToMove } from '../io/leased-items';
import { count } from '../io/table';
import { naming, parseQueue } from '../queue-uri';

const AT_ONCE = 64;

export const redrive: Command = {
  summary: 'Puts dead letters back into the queue they came from',
  usage: 'redrive DEAD [TO] [--count N] [options]',
  help: `Takes the dead letters of sage-queue/work that are in DEAD and puts their items into TO, or without TO each into the queue that it names:
that must be a shared-memory queue that is there and is this user's. A letter leaves DEAD once its item is in; one that cannot go
stays there, with status 1. What comes into DEAD meanwhile is left too. Their deliveries count from 1 again.

  --count N   at most N letters

${CREDENTIALS_HELP} They go to DEAD and TO.`,
  examples: ['sage-queue redrive sage:jobs.dead', 'sage-queue redrive sage:jobs.dead sage:jobs --count 10'],
  options: { count: { type: 'string', short: 'n' }, ...credentialOptions },
  operands: [1, 2],
  run,
};

async function run(args: Arguments): Promise<number> {
  const [dead, to] = args.operands as [string, string | undefined];
  const limit = args.integer('count') ?? Infinity;
  const source = parseQueue(dead);
  const target = to === undefined ? undefined : parseQueue(to);
  const signal = interruption();
  const redriving = new Redriving(
    target && (() => resolveDescriptor(target, { create: 'never', credentials: credentialsOf(args, target) }) as Queue),
    signal,
  );
  const kept: (() => Promise<void>)[] = [];
  let queue: Queue | undefined;
  try {
    queue = resolveDescriptor(source, { create: 'never', credentials: credentialsOf(args, source) }) as Queue;
    const most = Math.min(limit, await sizeToMove(queue));
    while (redriving.moved + kept.length < most) {
      const batch = await leaseThere(queue, Math.min(AT_ONCE, most - redriving.moved - kept.length));
      if (batch === undefined) break;
      // What stays is held until the end, so that the next look brings others.
      for (const [index, lease] of batch.leases.entries())
        if (!(await redriving.redrive(lease))) kept.push(() => endLeases(batch, index, index + 1, 'undo'));
    }
  } catch (error) {
    const told = `${count(redriving.moved)} items were put back, the rest stays in ${dead}.`;
    if (error instanceof Interrupted) throw new Interrupted(error.status, `interrupted; ${told}`);
    throw naming(dead, error, queue && told);
  } finally {
    for (const giveBack of kept.reverse()) await giveBack();
    await redriving.close();
    await queue?.close();
  }
  process.stdout.write(`put back ${count(redriving.moved)} items\n`);
  if (kept.length === 0) return EXIT_OK;
  const why = [...redriving.reasons].join('; ');
  process.stderr.write(`sage-queue: ${count(kept.length)} stay in ${dead}: ${why}\n`);
  return EXIT_FAILED;
}

class Redriving {
  moved = 0;
  readonly reasons = new Set<string>();
  /** By what the letters name; one of it however many do. */
  private readonly targets = new Map<string, Queue>();
  /** Looked for once: that takes as long as there are queues. */
  private own: Set<unknown> | undefined;

  constructor(
    private readonly openTarget: (() => Queue) | undefined,
    private readonly signal: AbortSignal,
  ) {}

  /** False: it stays on lease. */
  async redrive(lease: Lease<unknown>): Promise<boolean> {
    let letter: { item?: unknown; queue?: unknown; error?: unknown } | null;
    try {
      letter = readItem(lease.item) as typeof letter;
    } catch (error) {
      return this.stays((error as Error).message);
    }
    if (typeof letter !== 'object' || letter === null || !('item' in letter && 'queue' in letter && 'error' in letter))
      return this.stays('not every item is a dead letter');
    try {
      const target = this.targetOf(letter.queue);
      await target.put(letter.item, { signal: this.signal });
    } catch (error) {
      if (this.signal.aborted) {
        await lease.release();
        throw error;
      }
      return this.stays((error as Error).message);
    }
    await lease.ack();
    this.moved++;
    return true;
  }

  async close(): Promise<void> {
    for (const target of this.targets.values()) await target.close();
  }

  private stays(reason: string): false {
    this.reasons.add(reason);
    return false;
  }

  private targetOf(named: unknown): Queue {
    const descriptor = this.openTarget === undefined ? QueueDescriptor.fromJSON(named) : undefined;
    const key = JSON.stringify(descriptor && [descriptor.queueType, descriptor.queueId, descriptor.metadata]) ?? '';
    let target = this.targets.get(key);
    if (target === undefined) {
      target = descriptor === undefined ? this.openTarget!() : this.openOwn(descriptor);
      this.targets.set(key, target);
    }
    return target;
  }

  /** A letter is data from elsewhere: it may name no more than what this user could have put into anyway, and has made. */
  private openOwn({ queueId, queueType, metadata }: QueueDescriptor): Queue {
    const refuse = (why: string): QueueError =>
      new QueueError('ERR_QUEUE_NOT_FOUND', `the letter's queue '${queueId}' ${why}: name TO`);
    if (queueType !== 'shm' && queueType !== 'sage_queue') throw refuse(`is of type ${queueType}`);
    this.own ??= ownNames();
    const name = queueType === 'shm' ? metadata.shm_name : queueId;
    if (!this.own.has(name)) throw refuse("is not there, or is another user's");
    const descriptor = new QueueDescriptor({ queueId, queueType, metadata: withoutSizes(metadata) });
    return resolveDescriptor(descriptor, { create: 'never' }) as Queue;
  }
}

/** Of the shared-memory queues of this user, as they were called when they were made. */
function ownNames(): Set<unknown> {
  const names = new Set<unknown>();
  for (const entry of loadAddon().list())
    if ('fullName' in entry && entry.ownerUid === process.getuid?.()) names.add(entry.fullName.split('+').at(-1));
  return names;
}

/** The queue is taken as it is. */
const withoutSizes = ({
  maxsize: _maxsize,
  capacity_bytes: _bytes,
  ...rest
}: QueueDescriptor['metadata']): typeof rest => rest;
