/** One process with V8's own questions allowed. Prints, for each type, how many calls waited and of how many shapes is what they wrote down of themselves. */
const { getLocalQueue, getSageQueue } = require('sage-queue');

const sameShape = new Function('one', 'other', 'return %HaveSameMap(one, other)');

/** What goes through a method, whoever calls it. */
function watch(target, method, seen) {
  const original = target[method];
  target[method] = function (request, ...rest) {
    seen.push(request);
    return original.call(this, request, ...rest);
  };
}

async function shapesOf(queue, lines, method) {
  const requests = [];
  for (const line of lines) watch(line, method, requests);
  for (let round = 0; round < 500; round++) {
    const get = queue.get();
    await queue.put(round);
    await get;
    await queue.put(round);
    const puts = [queue.put(round), queue.putMany([round, round])];
    for (let count = 0; count < 4; count++) await queue.get();
    await Promise.all(puts);
  }
  const shapes = [];
  for (const request of requests) if (!shapes.some((one) => sameShape(one, request))) shapes.push(request);
  return { waited: requests.length, shapes: shapes.length };
}

(async () => {
  const local = getLocalQueue(`waiting-${process.pid}`, { maxsize: 1 });
  const { consumers, producers } = local.attachment.store;
  const shared = getSageQueue(`waiting-${process.pid}`, { maxsize: 1 });
  const { entry } = shared.attachment;
  const found = {
    local: await shapesOf(local, [consumers, producers], 'add'),
    sage_queue: await shapesOf(shared, [entry.consumers, entry.producers], 'enter'),
  };
  await local.close();
  shared.unlinkSync();
  shared.closeSync();
  process.stdout.write(JSON.stringify(found));
})();
