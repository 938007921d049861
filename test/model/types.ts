/** Every type that runs without a cluster, for tests that hold all of them to the same. */
import {
  attachToShmQueue,
  getLocalQueue,
  getSageQueue,
  QueueDescriptor,
  QueueEmptyError,
  QueueFullError,
  resolveDescriptor,
  wrapQueue,
} from '../../lib';
import type { Queue, QueueLike } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { StubQueue } from '../../lib/testing';

export interface MadeQueue {
  /** A handle on the queue, or on the one that a descriptor names. */
  open(descriptor?: QueueDescriptor): Queue<number>;
  end(): Promise<unknown>;
}

export interface QueueType {
  readonly name: string;
  /** Two handles on one queue; a single one otherwise. */
  readonly shared: boolean;
  /** Its calls take a while to reach it. */
  readonly remote: boolean;
  /** How long sequences of it run, where that is another time than the usual one. */
  readonly runMs?: number;
  make(maxsize: number): MadeQueue;
  end(): Promise<unknown>;
}

let made = 0;
const nextName = (): string => `model-${process.pid}-${made++}`;
const nothing = async (): Promise<void> => {};
const CAPACITY_BYTES = 64 * 1024;

/** Opens by a descriptor where there is one. */
const opening =
  (first: () => Queue<number>): MadeQueue['open'] =>
  (descriptor) =>
    descriptor === undefined ? first() : (resolveDescriptor<number>(descriptor) as Queue<number>);

/** Knows nothing of waiting. */
class FourMethods implements QueueLike<number> {
  private readonly items: number[] = [];

  constructor(private readonly maxsize: number) {}

  put(item: number): void | Promise<void> {
    if (this.maxsize > 0 && this.items.length >= this.maxsize) throw new QueueFullError();
    this.items.push(item);
  }

  get(): number | Promise<number> {
    if (this.items.length === 0) throw new QueueEmptyError();
    return this.items.shift()!;
  }

  empty(): boolean | Promise<boolean> {
    return this.items.length === 0;
  }

  qsize(): number | Promise<number> {
    return this.items.length;
  }
}

/** The same, but that it answers a little later. */
class FourMethodsLater extends FourMethods {
  override async put(item: number): Promise<void> {
    await super.put(item);
  }

  override async get(): Promise<number> {
    return super.get();
  }

  override async empty(): Promise<boolean> {
    return super.empty();
  }

  override async qsize(): Promise<number> {
    return super.qsize();
  }
}

function adapterOver(name: string, Inner: new (maxsize: number) => QueueLike<number>): QueueType {
  return {
    name,
    shared: false,
    remote: false,
    make: (maxsize) => {
      const descriptor = new QueueDescriptor({ queueId: nextName(), queueType: 'four', metadata: { maxsize } });
      const queue = wrapQueue<number>(new Inner(maxsize), descriptor);
      return { open: () => queue, end: nothing };
    },
    end: nothing,
  };
}

export const local: QueueType = {
  name: 'local',
  shared: true,
  remote: false,
  make: (maxsize) => {
    const id = nextName();
    return { open: opening(() => getLocalQueue<number>(id, { maxsize })), end: nothing };
  },
  end: nothing,
};

export const stub: QueueType = {
  name: 'the stub',
  shared: true,
  remote: false,
  make: (maxsize) => {
    const open = StubQueue.sharing();
    const descriptor = QueueDescriptor.createLocalQueue(nextName(), { maxsize });
    return { open: (given = descriptor) => open(given) as Queue<number>, end: nothing };
  },
  end: nothing,
};

export const adapter = adapterOver('the adapter', FourMethods);
export const adapterLater = adapterOver('the adapter over one that answers later', FourMethodsLater);

export const shm: QueueType = {
  name: 'shm',
  shared: true,
  remote: false,
  make: (maxsize) => {
    const name = nextName();
    return {
      open: opening(() => attachToShmQueue<number>(undefined, name, { maxsize, capacityBytes: CAPACITY_BYTES })),
      end: async () => {
        const last = attachToShmQueue<number>(undefined, name);
        last.unlinkSync();
        last.closeSync();
      },
    };
  },
  end: nothing,
};

export const sageQueue: QueueType = {
  name: 'sage_queue',
  shared: true,
  remote: false,
  make: (maxsize) => {
    const id = nextName();
    return {
      open: opening(() => getSageQueue<number>(id, { maxsize, capacityBytes: CAPACITY_BYTES })),
      end: async () => removeSageQueue(id),
    };
  },
  end: nothing,
};

/** With what is in it: a queue that has items outlasts its handles. */
function removeSageQueue(id: string): void {
  const last = getSageQueue(id);
  last.unlinkSync();
  last.closeSync();
}

/** One server for all queues of the type. */
export async function startRpcOver(type: 'local' | 'sage_queue'): Promise<QueueType> {
  const maxsizes = new Map<string, number>();
  const server = new QueueServer({
    queues: (id) => {
      const maxsize = maxsizes.get(id);
      if (maxsize === undefined) return undefined;
      return type === 'local'
        ? QueueDescriptor.createLocalQueue(id, { maxsize })
        : QueueDescriptor.createSageQueue(id, { maxsize, capacityBytes: CAPACITY_BYTES });
    },
  });
  const { port } = await server.start();
  return {
    name: `rpc over ${type}`,
    shared: true,
    remote: true,
    make: (maxsize) => {
      const id = nextName();
      maxsizes.set(id, maxsize);
      return {
        open: (descriptor = QueueDescriptor.createRpcQueue('127.0.0.1', port, id)) =>
          resolveDescriptor<number>(descriptor, { answerTimeoutMs: 20_000 }) as Queue<number>,
        end: async () => {
          maxsizes.delete(id);
          if (type === 'sage_queue') removeSageQueue(id);
        },
      };
    },
    end: () => server.stop({ graceMs: 200 }),
  };
}
