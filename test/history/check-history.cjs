/**
 * What must be true of the history of a queue, for every test that records one: native, Node, Python.
 *
 *   node check-history.cjs FILE…        checks each; - is standard input. Exit 1 and a line for each rule that was broken.
 *
 * A history is text, one record a line, words separated by spaces, in any order of lines but for those of one receiver. Every item has a
 * number within the stream of its producer (any word), and numbers follow each other in the order in which they were put. FROM and TO are a
 * range of numbers, TO not included; both are left out for "none".
 *
 *   put STREAM FROM TO             they were tried to be put: they may have gone in
 *   ack STREAM FROM TO             they went in for sure: the put returned
 *   got RECEIVER STREAM FROM TO    the receiver has them, in this order. Receiver `-`: nobody knows in which order, or who
 *   again RECEIVER STREAM FROM TO  the same, where they had been delivered before: they may come late
 *   hand STREAM FROM TO            a process was killed that may have had them in its hand and told nobody
 *   held STREAM FROM TO            who had received them died before it could acknowledge: for that they may come once more
 *   allow RULE COUNT               `loss` or `double`: so many may break it, since of those that died nobody knows what they had
 *   left STREAM FROM TO            they were in the queue when all had ended
 *   most WHAT FOUND LIMIT          the most there ever was of something that has a limit
 *   # …                            a remark
 *
 * The rules:
 *   1. no loss:     what went in for sure was received, was left, or was in the hand of one who was killed
 *   2. no double:   nothing was received twice, or received and left, but once more for each who held it and died
 *   3. no fiction:  nothing was received, or left, that nobody tried to put
 *   4. order:       a receiver gets the items of one stream in their order, but for those that come again
 *   5. limits:      never more than the limit
 */
'use strict';

/** So many broken rules are told, of one kind. */
const TOLD = 5;

class Numbers {
  bits = new Uint8Array(1024);
  end = 0;
  /** How often a number came out beyond the first time, and how often it may have. */
  repeated = new Map();
  mayRepeat = new Map();

  add(from, to, bit) {
    if (to > this.bits.length) {
      const larger = new Uint8Array(Math.max(to, 2 * this.bits.length));
      larger.set(this.bits);
      this.bits = larger;
    }
    for (let number = from; number < to; number++) this.bits[number] |= bit;
    this.end = Math.max(this.end, to);
  }
}

const TRIED = 1;
const SURE = 2;
const OUT = 4;
const HAND = 8;

const countIn = (counts, number) => counts.set(number, (counts.get(number) ?? 0) + 1);

/** Takes records one by one; `result()` says what is wrong with all of them. */
class History {
  streams = new Map();
  last = new Map();
  problems = new Map();
  allowed = { loss: 0, double: 0 };

  stream(name) {
    let stream = this.streams.get(name);
    if (stream === undefined) this.streams.set(name, (stream = new Numbers()));
    return stream;
  }

  broken(rule, text) {
    const told = this.problems.get(rule) ?? { count: 0, first: [] };
    this.problems.set(rule, told);
    if (++told.count <= TOLD) told.first.push(text);
  }

  /** The numbers one by one, as a receiver had them. */
  gotEach(receiver, stream, numbers) {
    for (const number of numbers) this.got(receiver, stream, number, number + 1);
  }

  put(stream, from, to) {
    this.stream(stream).add(from, to, TRIED);
  }

  ack(stream, from, to) {
    this.stream(stream).add(from, to, TRIED | SURE);
  }

  hand(stream, from, to) {
    this.stream(stream).add(from, to, HAND);
  }

  got(receiver, stream, from, to) {
    this.out(stream, from, to);
    if (receiver === '-' || from === to) return;
    const key = `${receiver} ${stream}`;
    const last = this.last.get(key) ?? -1;
    if (from <= last) this.broken('order', `receiver ${receiver} got ${from} of stream ${stream} after ${last}`);
    this.last.set(key, to - 1);
  }

  again(receiver, stream, from, to) {
    this.out(stream, from, to);
  }

  left(stream, from, to) {
    this.out(stream, from, to);
  }

  held(name, from, to) {
    const { mayRepeat } = this.stream(name);
    for (let number = from; number < to; number++) countIn(mayRepeat, number);
  }

  allow(rule, count) {
    this.allowed[rule] += count;
  }

  most(what, found, limit) {
    if (found > limit) this.broken('limit', `${found} ${what}, of ${limit} at most`);
  }

  out(name, from, to) {
    const stream = this.stream(name);
    stream.add(from, to, 0);
    for (let number = from; number < to; number++) {
      if (stream.bits[number] & OUT) countIn(stream.repeated, number);
      stream.bits[number] |= OUT;
    }
  }

  /** { problems: text[], acknowledged, received (or left), inHand } */
  result() {
    let acknowledged = 0;
    let received = 0;
    let inHand = 0;
    const { allowed } = this;
    for (const [name, { bits, end, repeated, mayRepeat }] of this.streams) {
      for (const [number, times] of repeated) {
        for (let more = (mayRepeat.get(number) ?? 0) - times; more < 0; more++)
          this.broken('double', `${number} of stream ${name} came out more than once`);
      }
      for (let number = 0; number < end; number++) {
        const word = bits[number];
        if (word & SURE) acknowledged++;
        if (word & OUT) received++;
        if (word & OUT && !(word & TRIED))
          this.broken('fiction', `${number} of stream ${name} came out, and nobody put it`);
        if (!(word & SURE) || word & OUT) continue;
        if (word & HAND) inHand++;
        else this.broken('loss', `${number} of stream ${name} went in, and never came out`);
      }
    }
    const lost = this.problems.get('loss')?.count ?? 0;
    if (lost <= allowed.loss) inHand += lost;
    const problems = [...this.problems].flatMap(([rule, { count, first }]) => {
      if (count <= (allowed[rule] ?? 0)) return [];
      return first.map((text) => `${rule}: ${text}`).concat(count > TOLD ? [`${rule}: … ${count - TOLD} more`] : []);
    });
    return { problems, acknowledged, received, inHand };
  }
}

/** How many words stand before the numbers of a record, and how many numbers there are. */
const RECORDS = {
  ...{ put: [2, 2], ack: [2, 2], hand: [2, 2], held: [2, 2], left: [2, 2] },
  ...{ got: [3, 2], again: [3, 2], most: [2, 2], allow: [2, 1] },
};

/** @param lines the records, as text. @throws Error for what is no record */
function checkHistory(lines) {
  const history = new History();
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0].startsWith('#')) continue;
    const [first, count] = RECORDS[words[0]] ?? [];
    const numbers = words.slice(first).map(Number);
    const isWhole = numbers.length === count && numbers.every((number) => Number.isSafeInteger(number) && number >= 0);
    const isRule = words[0] !== 'allow' || words[1] === 'loss' || words[1] === 'double';
    if (!isWhole || !isRule) throw new Error(`no record of a history: ${line}`);
    history[words[0]](...words.slice(1, first), ...numbers);
  }
  return history.result();
}

module.exports = { History, checkHistory };

if (require.main === module) {
  const { readFileSync } = require('node:fs');
  let good = true;
  for (const file of process.argv.slice(2)) {
    const { problems, acknowledged, received, inHand } = checkHistory(
      readFileSync(file === '-' ? 0 : file, 'utf8').split('\n'),
    );
    for (const problem of problems) console.error(problem);
    console.log(`${acknowledged} items acknowledged, ${received} received, ${inHand} died in a hand`);
    good = good && problems.length === 0;
  }
  process.exit(good ? 0 : 1);
}
