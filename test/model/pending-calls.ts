/** Calls that were made of the queue and have not ended, as far as the run knows. */
import assert from 'node:assert/strict';
import type { Lease, Queue } from '../../lib';

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Within so long a call that should end has ended. */
export const ANSWER_MS = 10_000;

export type Outcome = { value: unknown } | { error: unknown };

export interface Call {
  readonly id: number;
  readonly what: string;
  readonly handle: number;
  readonly controller: AbortController;
  outcome: Outcome | undefined;
  readonly settled: Promise<void>;
}

export class PendingCalls {
  private readonly calls = new Map<number, Call>();
  private nextId = 1;

  get all(): Call[] {
    return [...this.calls.values()];
  }

  byId(id: number): Call {
    return this.calls.get(id)!;
  }

  start(
    what: string,
    handle: number,
    queue: Queue<number>,
    work: (queue: Queue<number>, signal: AbortSignal) => Promise<unknown>,
  ): Call {
    const controller = new AbortController();
    let done!: () => void;
    const settled = new Promise<void>((resolve) => (done = resolve));
    const call: Call = { id: this.nextId++, what, handle, controller, outcome: undefined, settled };
    const end = (outcome: Outcome): void => {
      call.outcome = outcome;
      done();
    };
    work(queue, controller.signal).then(
      (value) => end({ value }),
      (error: unknown) => end({ error }),
    );
    this.calls.set(call.id, call);
    return call;
  }

  async outcomeOf(call: Call): Promise<Outcome> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ANSWER_MS)));
    await Promise.race([call.settled, late]);
    clearTimeout(timer);
    this.calls.delete(call.id);
    if (call.outcome === undefined) assert.fail(`${call.what} should have ended; it still waits`);
    return call.outcome;
  }

  async fails(call: Call, code: string, accepted?: number): Promise<void> {
    const outcome = await this.outcomeOf(call);
    assert.ok('error' in outcome, `${call.what} should fail with ${code}; it gave ${JSON.stringify(outcome)}`);
    const error = outcome.error as { code?: string; accepted?: number };
    assert.equal(error.code, code, `${call.what}: ${String(error)}`);
    if (accepted !== undefined && call.what.startsWith('putMany'))
      assert.equal(error.accepted, accepted, `${call.what}: accepted`);
  }

  /** Fails if one of them has ended. */
  noneHasEnded(): void {
    for (const { what, outcome } of this.calls.values()) {
      if (outcome === undefined) continue;
      const how = String('error' in outcome ? outcome.error : JSON.stringify(outcome.value));
      assert.fail(`${what} should wait; it ended with ${how}`);
    }
  }
}

/** The values in what a call brought. */
export function valuesOf(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  if (Array.isArray(value)) return value as number[];
  const leased = value as { item?: number; items?: number[] };
  return leased.items === undefined ? [leased.item!] : [...leased.items];
}

export function leasesOf(value: unknown): readonly Lease<number>[] {
  const leased = value as Lease<number> & { leases?: readonly Lease<number>[] };
  return leased.leases ?? [leased];
}

/** The items of a putMany as each of the things that it takes. */
export function inForm(
  items: readonly number[],
  form: 'array' | 'iterable' | 'source',
): Iterable<number> | AsyncIterable<number> {
  if (form === 'array') return items;
  if (form === 'iterable') return new Set(items);
  return (async function* () {
    yield* items;
  })();
}
