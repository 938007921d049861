/**
 * N mappers into one reducer: each counts the words of its own files, one process adds up.
 *   node mappers-reducer.mjs FILE…
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { getSageQueue } from 'sage-queue';

const [role, ...rest] = process.argv.slice(2);
if (role === undefined) {
  console.error('usage: node mappers-reducer.mjs FILE…');
  process.exitCode = 2;
} else if (role === 'map') await map(...rest);
else await reduce([role, ...rest], `words-${process.pid}`);

async function map(name, file) {
  const counts = new Map();
  for (const [word] of readFileSync(file, 'utf8')
    .toLowerCase()
    .matchAll(/\p{L}+/gu)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const partial = getSageQueue(name);
  await partial.put(counts); // a Map arrives as a Map
  await partial.close();
}

async function reduce(files, name) {
  const partial = getSageQueue(name);
  const mappers = files.map(async (file) => {
    const [code] = await once(fork(fileURLToPath(import.meta.url), ['map', name, file]), 'exit');
    if (code !== 0) throw new Error(`The mapper of ${file} ended with ${code}.`);
  });
  // The end of the stream: every mapper is through. The loop below drains what they put and ends.
  const ended = Promise.all(mappers).then(
    () => partial.shutdown(),
    async (error) => {
      await partial.shutdown({ immediate: true });
      await Promise.allSettled(mappers); // one that comes after the reducer has left would make the queue anew
      throw error;
    },
  );
  const total = new Map();
  for await (const counts of partial) {
    for (const [word, count] of counts) total.set(word, (total.get(word) ?? 0) + count);
  }
  await ended;
  await partial.close();
  const most = [...total].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, 5);
  for (const [word, count] of most) console.log(`${count} ${word}`);
}
