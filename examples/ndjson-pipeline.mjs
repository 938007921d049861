/**
 * A large NDJSON file through several processes: read as fast as they keep up, by batches, with the memory of a few of them.
 *   node ndjson-pipeline.mjs FILE [WORKERS]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { getSageQueue } from 'sage-queue';

const LINES = 500;
const [first, second] = process.argv.slice(2);
if (first === undefined) {
  console.error('usage: node ndjson-pipeline.mjs FILE [WORKERS]');
  process.exitCode = 2;
} else if (first === 'worker') await work(second);
else await stream(first, Number(second ?? 2), `ndjson-${process.pid}`);

async function* batches(file) {
  let lines = [];
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    if (line !== '') lines.push(line);
    if (lines.length < LINES) continue;
    yield lines.join('\n');
    lines = [];
  }
  if (lines.length > 0) yield lines.join('\n');
}

async function work(name) {
  const counts = getSageQueue(`${name}.counts`);
  let records = 0;
  const byKind = {};
  // Text goes through the queue, and is parsed where there are several to do it.
  for await (const text of getSageQueue(name)) {
    for (const { kind } of text.split('\n').map((line) => JSON.parse(line))) {
      byKind[kind] = (byKind[kind] ?? 0) + 1;
      records++;
    }
  }
  await counts.put({ records, byKind });
  await counts.close();
}

async function stream(file, workers, name) {
  // At most eight batches are under way: putMany reads on only as there is room.
  const lines = getSageQueue(name, { maxsize: 8 });
  const counts = getSageQueue(`${name}.counts`);
  const forked = Array.from({ length: workers }, () => fork(fileURLToPath(import.meta.url), ['worker', name]));
  const ended = forked.map((worker) => once(worker, 'exit'));
  try {
    const sent = await lines.putMany(batches(file));
    await lines.shutdown();
    for (const [code] of await Promise.all(ended)) if (code !== 0) throw new Error(`A worker ended with ${code}.`);
    report(sent, await counts.getMany(workers));
  } finally {
    for (const worker of forked) worker.kill(); // those of a file that cannot be read wait for more of it
    await Promise.all(ended);
    await Promise.all([lines, counts].map((queue) => queue.shutdown({ immediate: true })));
    await Promise.all([lines.close(), counts.close()]);
  }
}

function report(sent, parts) {
  let records = 0;
  const byKind = {};
  for (const part of parts) {
    records += part.records;
    for (const [kind, count] of Object.entries(part.byKind)) byKind[kind] = (byKind[kind] ?? 0) + count;
  }
  console.log(`${records} records in ${sent} batches`);
  for (const kind of Object.keys(byKind).sort()) console.log(`${kind} ${byKind[kind]}`);
}
