/**
 * What is sent, and how what arrives is checked. A producer cycles through a fixed set of items that both sides can make, so that making
 * them costs nothing in the loop, every contender may hold on to them, and a consumer knows what each has to be.
 */
import { isDeepStrictEqual } from 'node:util';

const PATTERN = 0x9e3779b1;
/** Every so many-th item is compared with what was sent, byte by byte or field by field. */
const COMPARE_EVERY = 256;
/** How often the clock is looked at. */
const CLOCK_EVERY = 64;

export const BATCH = 64;

/** Monotonic and the same in every process of the machine. Milliseconds. */
export const now = () => Number(process.hrtime.bigint() / 100n) / 1e4;

/** 4096 small items; fewer large ones, so that the source itself stays in the cache. Always a multiple of BATCH or a divisor of it. */
export function distinctItems(bytes) {
  let count = 4096;
  while (count > 16 && count * bytes > 1024 * 1024) count /= 2;
  return count;
}

function makeBytes(number, producer, bytes) {
  const item = Buffer.alloc(bytes);
  item[0] = number;
  item[1] = number >> 8;
  item[2] = number >> 16;
  item[3] = producer;
  for (let at = 4, word = (number * 16 + producer) | 1; at < bytes; at++) {
    word = Math.imul(word, PATTERN) + at;
    item[at] = word >>> 13;
  }
  return item;
}

/** Five fields of the kinds that small messages have. */
const makeObject = (number, producer) => ({
  id: number,
  producer,
  name: `sensor-${number % 97}`,
  value: number * 1.25 + 0.1,
  active: number % 3 === 0,
});

/** About 10 KiB of JSON: a list of fifty small objects, a nested one, and a text. */
const makeLargeObject = (number, producer) => ({
  id: number,
  producer,
  title: `report-${number}`,
  origin: {
    host: `node-${number % 31}`,
    region: 'north',
    tags: ['a', 'b', 'c'],
    position: { x: number / 7, y: -number },
  },
  text: `line ${number} of a text that somebody wrote. `.repeat(80),
  readings: Array.from({ length: 50 }, (_, at) => ({
    at: number * 1000 + at,
    name: `sensor-${at}`,
    value: number * 0.5 + at,
    valid: at % 3 !== 0,
    unit: at % 2 === 0 ? 'kelvin' : null,
  })),
});

const makers = { bytes: makeBytes, objects: makeObject, 'large-objects': makeLargeObject };

export function makeItems(work, producer) {
  const count = { bytes: distinctItems(work.bytes), objects: 4096, 'large-objects': 64 }[work.kind];
  return Array.from({ length: count }, (_, number) => makers[work.kind](number, producer, work.bytes));
}

/** Tells a consumer to stop. Shorter than any item. */
export const endItem = (work) => (work.kind === 'bytes' ? Buffer.alloc(1) : { end: true });

export class Source {
  sent = 0;
  #clock = 0;
  #until = Infinity;

  constructor(work, producer, milliseconds) {
    this.items = makeItems(work, producer);
    this.mask = this.items.length - 1;
    this.end = endItem(work);
    this.milliseconds = milliseconds;
    this.batches = [];
    for (let from = 0; from < Math.max(BATCH, this.items.length); from += BATCH) {
      this.batches.push(Array.from({ length: BATCH }, (_, at) => this.items[(from + at) & this.mask]));
    }
  }

  begin() {
    this.#until = now() + this.milliseconds;
  }

  /** Whether there is still time. */
  more() {
    if (++this.#clock < CLOCK_EVERY) return true;
    this.#clock = 0;
    return now() < this.#until;
  }

  next() {
    return this.items[this.sent++ & this.mask];
  }

  /** BATCH items in an array that is not changed afterwards. */
  nextBatch() {
    const batch = this.batches[(this.sent / BATCH) % this.batches.length];
    this.sent += BATCH;
    this.#clock += BATCH;
    return batch;
  }
}

/**
 * Counts and checks. With one consumer every item must follow the one before it, producer by producer; with more, each item must have
 * come as often as it was sent, which the parent adds up.
 */
export class Sink {
  received = 0;
  wrongOrder = 0;
  wrongContent = 0;
  ended = false;
  #clock = 0;
  #warm = Infinity;
  #from = -Infinity;
  #fromCount = 0;
  #last = -Infinity;
  #lastCount = 0;

  constructor(work, producers, consumers, warmMilliseconds) {
    this.work = work;
    this.expected = Array.from({ length: producers }, (_, producer) => makeItems(work, producer));
    this.mask = this.expected[0].length - 1;
    this.nextNumber = new Int32Array(producers);
    this.counts = consumers > 1 ? this.expected.map(() => new Int32Array(this.mask + 1)) : undefined;
    this.warmMilliseconds = warmMilliseconds;
    this.bytes = work.kind === 'bytes' ? work.bytes : undefined;
  }

  /** Returns false at the end. */
  receive(item) {
    let number;
    let producer;
    if (this.bytes !== undefined) {
      if (item.length !== this.bytes) return this.#odd(item.length === 1);
      number = item[0] | (item[1] << 8) | (item[2] << 16);
      producer = item[3];
    } else {
      if (item.id === undefined) return this.#odd(item.end === true);
      number = item.id;
      producer = item.producer;
    }
    if (this.counts !== undefined) this.counts[producer][number]++;
    else {
      if (this.nextNumber[producer] !== number) this.wrongOrder++;
      this.nextNumber[producer] = (number + 1) & this.mask;
    }
    if ((++this.received & (COMPARE_EVERY - 1)) === 0) this.#compare(item, this.expected[producer]?.[number]);
    if (++this.#clock >= CLOCK_EVERY) this.#look();
    return true;
  }

  #odd(end) {
    if (!end) this.wrongContent++;
    this.ended ||= end;
    return !end;
  }

  #compare(item, expected) {
    if (expected === undefined) this.wrongContent++;
    else if (this.bytes !== undefined) this.wrongContent += expected.equals(item) ? 0 : 1;
    else this.wrongContent += isDeepStrictEqual(item, expected) ? 0 : 1;
  }

  /** The end of the warm-up brings no value of another kind, and no line that was not run: V8 would throw away what it has compiled, and be measured at it. */
  #look() {
    this.#clock = 0;
    this.#last = now();
    this.#lastCount = this.received;
    if (this.#warm === Infinity) this.#warm = this.#last + this.warmMilliseconds;
    if (this.#from >= this.#warm) return;
    this.#from = this.#last;
    this.#fromCount = this.#lastCount;
  }

  /** Items and milliseconds between the end of the warm-up and the last look at the clock. */
  result() {
    const { received, wrongOrder, wrongContent } = this;
    const counts = this.counts?.map((one) => [...one]);
    const measured = this.#lastCount - this.#fromCount;
    return { received, wrongOrder, wrongContent, counts, measured, from: this.#from, to: this.#last };
  }
}

/** Never changes: waiting for it is sleeping. */
const nothing = new Int32Array(new SharedArrayBuffer(4));

/** Collects round trips. */
export class Probe {
  times = [];
  wrongContent = 0;
  #number = 0;
  #begun = 0;
  #stop = 0;

  /** @param pauseMilliseconds before each trip, in which the other side falls asleep */
  constructor(work, milliseconds, warmMilliseconds, pauseMilliseconds = 0) {
    this.pauseMilliseconds = pauseMilliseconds;
    this.items = makeItems(work, 0);
    this.mask = this.items.length - 1;
    this.end = endItem(work);
    this.milliseconds = milliseconds;
    this.warmMilliseconds = warmMilliseconds;
  }

  begin() {
    this.#stop = performance.now() + this.milliseconds;
    this.warmUntil = performance.now() + this.warmMilliseconds;
  }

  /** The item to send; the clock runs. */
  start() {
    if (this.pauseMilliseconds > 0) Atomics.wait(nothing, 0, 0, this.pauseMilliseconds);
    const item = this.items[this.#number++ & this.mask];
    this.#begun = performance.now();
    return item;
  }

  /** The echo. Returns whether there is time for another. */
  stop(echo) {
    const time = performance.now();
    if (this.#begun > this.warmUntil) this.times.push(time - this.#begun);
    const number = echo.id ?? echo[0] | (echo[1] << 8) | (echo[2] << 16);
    if (number !== ((this.#number - 1) & this.mask)) this.wrongContent++;
    return time < this.#stop;
  }

  result() {
    const sorted = this.times.sort((a, b) => a - b);
    const at = (share) => 1000 * (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN);
    // One in a thousand is not to be known from fewer; JSON leaves an undefined one out.
    const p999 = sorted.length < 1000 ? undefined : at(0.999);
    const mean = (1000 * sorted.reduce((total, time) => total + time, 0)) / sorted.length;
    return { wrongContent: this.wrongContent, trips: sorted.length, p50: at(0.5), mean, p99: at(0.99), p999 };
  }
}
