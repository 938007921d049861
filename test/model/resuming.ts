/**
 * A producer whose putMany ends early again and again, in every way that a program may end it, and which goes on at `accepted`: what a
 * consumer gets has no gap, and nothing twice.
 */
import assert from 'node:assert/strict';
import type { Queue } from '../../lib';
import { History } from '../history/check-history.cjs';
import { seeded } from '../random';
import { inForm } from './pending-calls';
import type { QueueType } from './types';

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));

const FORMS = ['array', 'iterable', 'source'] as const;
const ENDINGS = ['none', 'abort', 'timeout', 'at once', 'throws', 'close'] as const;
type Ending = (typeof ENDINGS)[number];
const EXPECTED: Readonly<Record<string, string>> = {
  abort: 'ENOUGH',
  timeout: 'ERR_QUEUE_FULL',
  'at once': 'ERR_QUEUE_FULL',
  throws: 'BROKEN',
  close: 'ERR_QUEUE_CLOSED',
};

/** Behind all items. */
const LAST = -1;

const withCode = (code: string): Error => Object.assign(new Error(code), { code });

/** The items, and after some of them an error where the call is to end so. */
function* breakingAfter(items: readonly number[], count: number): Generator<number> {
  yield* items.slice(0, count);
  throw withCode('BROKEN');
}

async function* later<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

type Outcome = { value: number } | { error: { code?: string; accepted?: number; outcome?: string } };

/** @returns how many of the items went in, as far as is known, and whether that is certain */
function judge(outcome: Outcome, given: number, ending: Ending, what: string): { accepted: number; certain: boolean } {
  if ('value' in outcome) {
    assert.equal(outcome.value, given, what);
    return { accepted: given, certain: true };
  }
  const { code, accepted, outcome: certainty } = outcome.error;
  if (certainty === undefined) assert.equal(code, EXPECTED[ending], `${what}: ${String(outcome.error)}`);
  else assert.equal(certainty, 'unknown', what);
  assert.ok(accepted !== undefined && accepted <= given, `${what}: accepted ${accepted}`);
  return { accepted, certain: certainty === undefined };
}

/** @returns how many items went through */
export async function resumeAtAccepted(type: QueueType, forMs: number): Promise<number> {
  const { below: random } = seeded(type.name);
  const made = type.make(2);
  const end = performance.now() + forMs;
  let producer = made.open();
  const consumer = type.shared ? made.open() : producer;
  const history = new History();
  let seen = 0;

  // Not by timeouts: an answer over the network that a busy machine gives late is an error of its own.
  const consume = async (): Promise<void> => {
    for (let ended = false; !ended;) {
      for (const item of await consumer.getMany(1 + random(3))) {
        ended ||= item === LAST;
        if (ended) break;
        history.got('consumer', 'items', item, item + 1);
        seen++;
      }
      if (random(3) === 0) await pause(random(3));
    }
  };

  // A machine that is busy enough leaves a call over the network without its answer. Where that is said, nobody can resume, and the
  // producer gives up: what it knows of is the least that came.
  let known = true;
  const produce = async (): Promise<number> => {
    let next = 0;
    while (performance.now() < end) {
      const items = Array.from({ length: 1 + random(12) }, (_, index) => next + index);
      history.put('items', next, next + items.length);
      const endings = ENDINGS.filter((ending) =>
        ending === 'close' ? type.shared : ending === 'timeout' ? !type.remote : true,
      );
      const ending = endings[random(endings.length)]!;
      const form = FORMS[random(FORMS.length)]!;
      const broken = breakingAfter(items, random(items.length));
      const given = ending !== 'throws' ? inForm(items, form) : form === 'source' ? later(broken) : broken;
      const controller = new AbortController();
      const options =
        ending === 'timeout' ? { timeoutMs: random(4) } : { block: ending !== 'at once', signal: controller.signal };
      let outcome: Outcome | undefined;
      const putting = producer.putMany(given, options).then(
        (value): Outcome => (outcome = { value }),
        (error): Outcome => (outcome = { error }),
      );
      for (let turns = random(6); turns > 0 && outcome === undefined; turns--) await pause(random(2));
      if (ending === 'abort') controller.abort(withCode('ENOUGH'));
      if (ending === 'close') {
        const closed = producer;
        producer = made.open();
        await closed.close();
      }
      const what = `putMany of ${items.length} as ${form}, ended by ${ending}`;
      const { accepted, certain } = judge(await putting, items.length, ending, what);
      history.ack('items', next, next + accepted);
      next += accepted;
      if (certain) continue;
      known = false;
      break;
    }
    return next;
  };

  const consuming = consume();
  consuming.catch(() => {});
  try {
    const put = await Promise.race([produce(), consuming.then(() => seen)]);
    await producer.put(LAST);
    await consuming;
    assert.deepEqual(history.result().problems, []);
    if (known) assert.equal(seen, put, 'items that went through');
    else assert.ok(seen >= put, `${seen} items of ${put} went through`);
  } finally {
    await Promise.all([producer, consumer].map((handle: Queue<number>) => handle.close()));
    await made.end();
  }
  return seen;
}
