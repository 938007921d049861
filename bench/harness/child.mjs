/**
 * One process (or thread) of one run: `node child.mjs '{"file", "variant", "role", …}'`. It tells the parent what it has by lines on stdout
 * and is told to go on by lines on stdin, so that no channel of the contender's own is used for it.
 */
import { writeSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import { Probe, Sink, Source } from './items.mjs';

const run = isMainThread ? JSON.parse(process.argv[2]) : workerData.run;
const say = (event, values = {}) => writeSync(1, `@${JSON.stringify({ event, role: run.role, ...values })}\n`);

/** Lines of stdin, one at a time. */
let buffered = '';
let wanted;
function nextLine() {
  return new Promise((resolve) => {
    wanted = resolve;
    deliver();
  });
}
function deliver() {
  const end = buffered.indexOf('\n');
  if (end === -1 || wanted === undefined) return;
  const line = buffered.slice(0, end);
  buffered = buffered.slice(end + 1);
  const resolve = wanted;
  wanted = undefined;
  resolve(line);
}
if (isMainThread) {
  process.stdin.setEncoding('utf8').on('data', (text) => {
    buffered += text;
    deliver();
  });
}

const { variants } = await import(new URL(`../contenders/${run.file}.mjs`, import.meta.url).href);
const contender = variants.find(({ name }) => name === run.variant);

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const roles = {
  async produce() {
    const source = new Source(run.work, run.index, run.warmMs + run.measureMs);
    let started = 0;
    source.go = async () => {
      say('ready');
      await nextLine();
      started = cpu();
      source.begin();
    };
    /** How many end items this producer has to send after its last item. */
    source.done = async () => {
      say('produced', { index: run.index, sent: source.sent, cpuMs: cpu() - started });
      return Number((await nextLine()).split(' ')[1]);
    };
    /** Once everything has come: for contenders whose close would drop what is not yet sent. */
    source.over = nextLine;
    await contender.produce(run, source);
  },
  async consume() {
    const sink = new Sink(run.work, run.producers, run.consumers, run.warmMs);
    let started = 0;
    sink.ready = () => {
      say('ready');
      started = cpu();
    };
    await contender.consume(run, sink);
    say('consumed', { ...sink.result(), cpuMs: cpu() - started });
  },
  async ping() {
    const probe = new Probe(run.work, run.warmMs + run.measureMs, run.warmMs, run.pauseMs);
    probe.go = async () => {
      say('ready');
      await nextLine();
      probe.begin();
    };
    await contender.ping(run, probe);
    say('pinged', probe.result());
  },
  async pong() {
    await contender.pong(run, { ready: () => say('ready') });
    say('ponged');
  },
};

await roles[run.role]();
say('finished');
if (isMainThread) process.exit(0);
