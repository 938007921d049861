/** putMany over a source that is silent: what ends the call does not wait for it to speak. */
import { execFileSync } from 'node:child_process';
import {
  attachToShmQueue,
  getLocalQueue,
  getSageQueue,
  QueueDescriptor,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Queue, QueueLike } from '../../lib/index';
import { turn } from '../../lib/testing/harness';

class FourMethods implements QueueLike {
  private readonly items: unknown[] = [];

  put(item: unknown): void {
    this.items.push(item);
  }

  get(): unknown {
    return this.items.shift();
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

registerQueueImplementation('fixwrap_four', FourMethods);

const makers: Record<string, () => Queue> = {
  local: () => getLocalQueue('fixwrap-silent'),
  shm: () => attachToShmQueue(undefined, 'fixwrap-silent'),
  sage_queue: () => getSageQueue('fixwrap-silent'),
  custom: () => resolveDescriptor(new QueueDescriptor({ queueId: 'fixwrap', queueType: 'fixwrap_four' })),
};

/** Yields one item, then nothing more. */
class SilentSource implements AsyncIterable<string> {
  returned = 0;
  silent = false;

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return {
      next: () => {
        if (this.silent) return new Promise(() => {});
        this.silent = true;
        return Promise.resolve({ done: false, value: 'first' });
      },
      return: () => {
        this.returned++;
        return new Promise(() => {});
      },
    };
  }
}

describe.each(Object.entries(makers))('%s', (_type, make) => {
  let queue: Queue;
  let source: SilentSource;

  beforeEach(() => {
    queue = make();
    source = new SilentSource();
  });

  afterEach(async () => {
    // Whoever is last takes the segment along.
    const last = make();
    await last.getMany(10, { block: false }).catch(() => {});
    await Promise.all([queue.close(), last.close()]);
  });

  const ended = async (end: () => unknown, signal?: AbortSignal): Promise<unknown> => {
    const putting = queue.putMany(source, { signal }).catch((error: unknown) => error);
    while (await queue.empty()) await turn();
    await end();
    const outcome = await putting;
    expect(source.returned).toBe(1);
    return outcome;
  };

  it('an abort ends it with the reason', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    expect(await ended(() => controller.abort(reason), controller.signal)).toBe(reason);
    expect(reason).toMatchObject({ accepted: 1 });
  });

  it('close() ends it', async () => {
    expect(await ended(() => queue.close())).toMatchObject({ code: 'ERR_QUEUE_CLOSED', accepted: 1 });
  });

  it('shutdown() through the same handle ends it', async () => {
    expect(await ended(() => queue.shutdown())).toMatchObject({ code: 'ERR_QUEUE_SHUT_DOWN', accepted: 1 });
  });

  it.each([
    ['close', 'ERR_QUEUE_CLOSED'],
    ['shutdown', 'ERR_QUEUE_SHUT_DOWN'],
  ] as const)('%s() in the turn of the call ends it', async (end, code) => {
    source.silent = true;
    const putting = queue.putMany(source).catch((error: unknown) => error);
    await queue[end]();
    expect(await putting).toMatchObject({ code, accepted: 0 });
  });

  it('a handle that was closed before asks the source for nothing', async () => {
    await queue.close();
    await expect(queue.putMany(source)).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    expect(source.silent).toBe(false);
  });
});

test('a source that is left by itself is waited for', async () => {
  const steps: string[] = [];
  const generated = async function* (): AsyncGenerator<string> {
    try {
      yield 'in';
      yield 'refused';
    } finally {
      await turn();
      steps.push('cleaned up');
    }
  };
  const queue = getLocalQueue('fixwrap-left', { maxsize: 1 });
  await expect(queue.putMany(generated(), { block: false })).rejects.toMatchObject({ accepted: 1 });
  expect(steps).toEqual(['cleaned up']);
  await queue.get();
  await queue.close();
});

test.each(['local', 'custom', 'derived'])('its time keeps the process alive: %s', (type) => {
  const program = `
    const { BaseQueue, getLocalQueue, QueueDescriptor, registerQueueImplementation, resolveDescriptor } = require('.');
    class Four { put() {} get() {} empty() { return true; } qsize() { return 0; } }
    class Derived extends BaseQueue { async put() {} async get() {} async empty() { return true; } async qsize() { return 0; } }
    registerQueueImplementation('custom', Four);
    registerQueueImplementation('derived', Derived);
    const type = ${JSON.stringify(type)};
    const queue = type === 'local' ? getLocalQueue('silent') : resolveDescriptor(new QueueDescriptor({ queueId: 'silent', queueType: type }));
    async function* silent() { yield 1; await new Promise(() => {}); }
    queue.putMany(silent(), { timeoutMs: 200 }).catch((error) => console.log(error.code, error.accepted));
  `;
  expect(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })).toBe('ERR_QUEUE_TIMEOUT 1\n');
});
