/** Calls that wait on one side of one handle: served in order, each ended by its item, timeout, signal or the handle's close. */
import type { Direction, NativeHandle } from '../../native';
import { Alarm, deadlineOf, keepAlive } from '../../wait';
import type { Wait } from '../../wait';
import type { BellPull } from './doorbell';

/** As many are served before other work of the loop gets its turn. */
const BATCH = 64;

interface Waiter {
  /** False: nothing yet. True: settled, one way or the other. */
  attempt(): boolean;
  fail(reason: unknown): void;
  setReferenced(referenced: boolean): void;
}

/** What one try brought: undefined for "nothing yet". */
export type Attempt<R> = () => { value: R } | undefined;

export class Waiters {
  private readonly waiting = new Set<Waiter>();
  private parked = false;
  private again = false;
  referenced = true;

  constructor(
    private readonly handle: NativeHandle,
    private readonly direction: Direction,
    private readonly bell: BellPull,
  ) {}

  get size(): number {
    return this.waiting.size;
  }

  add<R>(wait: Wait, timedOut: () => Error, attempt: Attempt<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      let referenced = false;
      const onAbort = (): void => waiter.fail(wait.signal?.reason);
      const end = (): void => {
        alarm?.cancel();
        wait.signal?.removeEventListener('abort', onAbort);
        waiter.setReferenced(false);
        this.waiting.delete(waiter);
      };
      const waiter: Waiter = {
        attempt: () => {
          try {
            const outcome = attempt();
            if (outcome === undefined) return false;
            end();
            resolve(outcome.value);
          } catch (error) {
            end();
            reject(error as Error);
          }
          return true;
        },
        fail: (reason) => {
          end();
          reject(reason as Error);
          this.restIfIdle();
        },
        setReferenced: (next) => {
          if (next === referenced) return;
          referenced = next;
          if (next) keepAlive.hold();
          else keepAlive.drop();
        },
      };
      const alarm =
        wait.timeoutMs === Infinity ? undefined : new Alarm(deadlineOf(wait), () => waiter.fail(timedOut()));
      wait.signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.add(waiter);
      waiter.setReferenced(this.referenced);
      if (!this.parked) this.serve();
    });
  }

  /** The bell rang. */
  rung(): void {
    if (this.waiting.size === 0) return this.restIfIdle();
    this.serve();
  }

  private serve(): void {
    let served = 0;
    for (;;) {
      // The bell is up before the last look: what is published after that look rings it.
      if (this.parked) this.handle.unpark(this.direction);
      this.bell.attach();
      this.handle.park(this.direction);
      this.parked = true;
      this.bell.watch();
      let progress = false;
      for (const waiter of this.waiting) {
        if (served === BATCH || !waiter.attempt()) break;
        progress = true;
        served++;
      }
      if (this.waiting.size === 0) return this.restIfIdle();
      if (served === BATCH) return this.continueLater();
      if (!progress) break;
    }
    this.handle.settle(this.direction);
  }

  private continueLater(): void {
    if (this.again) return;
    this.again = true;
    setImmediate(() => {
      this.again = false;
      this.rung();
    });
  }

  /** Nobody waits any more: the bell comes down, and a wake that nobody used is passed on. */
  private restIfIdle(): void {
    if (this.waiting.size > 0 || !this.parked) return;
    this.parked = false;
    this.handle.unpark(this.direction);
    this.handle.settle(this.direction);
    this.bell.rest();
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const waiter of this.waiting) waiter.setReferenced(referenced);
  }

  failAll(reason: () => unknown): void {
    for (const waiter of [...this.waiting]) waiter.fail(reason());
  }
}
