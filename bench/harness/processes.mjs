/** The parent's side of one run: starts the processes in order, checks what they report, and turns it into figures. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
/** A run that takes longer than this beyond its own time hangs. */
const PATIENCE_MS = 30_000;
/** For processes that have said everything to end by themselves. */
const GRACE_MS = 300;

class Child {
  reports = [];
  #waiting = [];
  #text = '';
  #errors = '';

  constructor(run, nodeOptions = []) {
    this.role = run.role;
    this.process = spawn(process.execPath, [...nodeOptions, CHILD, JSON.stringify(run)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.process.stdout.setEncoding('utf8').on('data', (text) => this.#read(text));
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.#errors += text));
    this.process.stdin.on('error', () => {});
    this.exited = once(this.process, 'close').then(([code]) => {
      this.code = code;
      this.#settle();
    });
  }

  #read(text) {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop();
    for (const line of lines) {
      if (line.startsWith('@')) this.reports.push(JSON.parse(line.slice(1)));
      else process.stderr.write(`${line}\n`);
    }
    this.#settle();
  }

  #settle() {
    this.#waiting = this.#waiting.filter(({ event, count, resolve, reject }) => {
      const found = this.reports.filter((report) => report.event === event);
      if (found.length >= count) resolve(found);
      else if (this.code !== undefined)
        reject(new Error(`A ${this.role} ended with ${this.code} before '${event}':\n${this.#errors}`));
      else return true;
      return false;
    });
  }

  /** The reports of that event, once there are `count`. */
  report(event, count = 1) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, count, resolve, reject });
      this.#settle();
    });
  }

  tell(line) {
    this.process.stdin.write(`${line}\n`);
  }
}

async function inTime(run, children, work) {
  let timer;
  const late = new Promise((_, reject) => {
    const limit = run.warmMs + run.measureMs + PATIENCE_MS;
    timer = setTimeout(() => reject(new Error(`The run did not end within ${limit} ms.`)), limit);
  });
  try {
    const result = await Promise.race([work(), late]);
    // Who is killed on its way out leaves its queue behind.
    await Promise.race([
      Promise.all(children.map((child) => child.exited)),
      sleep(GRACE_MS, undefined, { ref: false }),
    ]);
    return result;
  } finally {
    clearTimeout(timer);
    for (const child of children) child.process.kill('SIGKILL');
    await Promise.all(children.map((child) => child.exited));
  }
}

const fail = (run, what) => {
  throw new Error(`${run.variant}, ${run.work.name}: ${what}`);
};

const sum = (reports, key) => reports.reduce((total, report) => total + report[key], 0);

/** Items that were sent, item by item, must be those that came. */
function checkCounts(run, produced, consumed) {
  const sent = sum(produced, 'sent');
  const received = sum(consumed, 'received');
  if (sent !== received) fail(run, `${sent} items were sent, ${received} came`);
  if (sum(consumed, 'wrongOrder') > 0) fail(run, `${sum(consumed, 'wrongOrder')} items came out of order`);
  if (sum(consumed, 'wrongContent') > 0) fail(run, `${sum(consumed, 'wrongContent')} items were not as they were sent`);
  if (consumed[0].counts === undefined) return;
  for (const { index, sent: count } of produced) {
    const distinct = consumed[0].counts[index].length;
    for (let number = 0; number < distinct; number++) {
      const expected = Math.floor(count / distinct) + (number < count % distinct ? 1 : 0);
      const came = consumed.reduce((total, report) => total + report.counts[index][number], 0);
      if (came !== expected)
        fail(run, `item ${number} of producer ${index} was sent ${expected} times and came ${came} times`);
    }
  }
}

/** Messages per second, and the CPU time per message in µs. */
export async function runThroughput(contender, run) {
  const children = [];
  const start = (role, index) => {
    const child = new Child({ ...run, role, index }, contender.nodeOptions);
    children.push(child);
    return child;
  };
  return inTime(run, children, async () => {
    let producers;
    let consumers;
    let consumed;
    if (contender.pair) {
      // The producer starts the consumer itself, as a child or a thread.
      producers = [start('produce', 0)];
      await producers[0].report('ready', 2);
    } else {
      consumers = Array.from({ length: run.consumers }, (_, index) => start('consume', index));
      await Promise.all(consumers.map((child) => child.report('ready')));
      producers = Array.from({ length: run.producers }, (_, index) => start('produce', index));
      await Promise.all(producers.map((child) => child.report('ready')));
    }
    for (const child of producers) child.tell('go');
    const produced = (await Promise.all(producers.map((child) => child.report('produced')))).flat();
    producers.forEach((child, index) => child.tell(`finish ${index === 0 ? run.consumers : 0}`));
    if (contender.pair) consumed = await producers[0].report('consumed');
    else consumed = (await Promise.all(consumers.map((child) => child.report('consumed')))).flat();
    for (const child of producers) child.tell('over');
    checkCounts(run, produced, consumed);
    const measured = sum(consumed, 'measured');
    const active = consumed.filter((report) => report.measured > 0);
    const ms = Math.max(...active.map(({ to }) => to)) - Math.min(...active.map(({ from }) => from));
    if (!(ms > 0) || measured === 0) fail(run, 'too few items came to measure anything: make the run longer');
    const received = sum(consumed, 'received');
    // What one message costs a producer and a consumer: less shaken by other work of the machine than the clock. Threads of one process
    // cannot be told apart.
    const costs = [
      (sum(produced, 'cpuMs') / received) * 1000,
      contender.pair === 'thread' ? 0 : (sum(consumed, 'cpuMs') / received) * 1000,
    ];
    const busiest = Math.max(costs[0] / run.producers, costs[1] / run.consumers);
    return {
      value: (measured / ms) * 1000,
      producerMicros: costs[0],
      consumerMicros: costs[1],
      cpuMicros: busiest,
      // What the whole group burns for one message.
      groupMicros: costs[0] + costs[1],
      messages: received,
    };
  });
}

/** Round trips in µs. */
export async function runRoundTrip(contender, run) {
  const children = [];
  return inTime(run, children, async () => {
    const start = (role) => {
      const child = new Child({ ...run, role, index: 0 }, contender.nodeOptions);
      children.push(child);
      return child;
    };
    let ping;
    if (contender.pair) {
      ping = start('ping');
      await ping.report('ready', 2);
    } else {
      const pong = start('pong');
      await pong.report('ready');
      ping = start('ping');
      await ping.report('ready');
    }
    ping.tell('go');
    const [result] = await ping.report('pinged');
    if (result.wrongContent > 0) fail(run, `${result.wrongContent} echoes were wrong`);
    if (result.trips === 0) fail(run, 'no round trip ended in time');
    return { value: result.p50, mean: result.mean, p99: result.p99, p999: result.p999, messages: result.trips };
  });
}

/** A program that measures by itself and prints one JSON object. */
export async function runExternal(contender, run) {
  const { command, args } = contender.external(run);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const timer = setTimeout(() => child.kill('SIGKILL'), run.warmMs + run.measureMs + PATIENCE_MS);
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  if (code !== 0) fail(run, `${command} ended with ${code}: ${errors}`);
  return JSON.parse(out.trim().split('\n').pop());
}
