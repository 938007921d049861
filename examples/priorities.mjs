/**
 * Two priorities are two queues: urgent items go first, and the others are not forgotten.
 *   node priorities.mjs
 */
import { getSageQueue } from 'sage-queue';

/** After so many urgent items one of the others has its turn, if there is one. */
const FAIRNESS = 4;

const urgent = getSageQueue(`urgent-${process.pid}`);
const usual = getSageQueue(`usual-${process.pid}`);
await usual.putMany(['u1', 'u2', 'u3']);
await urgent.putMany(['!1', '!2', '!3', '!4', '!5', '!6']);

const without = (queue) =>
  queue.get({ block: false }).catch((error) => {
    if (error.code === 'ERR_QUEUE_EMPTY') return undefined;
    throw error;
  });

let served = 0;
async function next() {
  const [first, second] = ++served % (FAIRNESS + 1) === 0 ? [usual, urgent] : [urgent, usual];
  const item = (await without(first)) ?? (await without(second));
  if (item !== undefined) return item;
  // Both are empty: wait at both. Whichever comes first ends the other wait, and no item is lost to an abort.
  const enough = new AbortController();
  const waits = [first, second].map((queue) => queue.lease({ signal: enough.signal }));
  const lease = await Promise.race(waits);
  enough.abort();
  // Both may have come at the same time: what is not taken now goes back.
  for (const other of await Promise.allSettled(waits))
    if (other.value !== undefined && other.value !== lease) await other.value.release();
  await lease.ack();
  return lease.item;
}

const order = [];
for (let count = 0; count < 9; count++) order.push(await next());
console.log(order.join(' '));

setTimeout(() => urgent.put('late'), 50);
console.log(await next());
await Promise.all([urgent.close(), usual.close()]);
