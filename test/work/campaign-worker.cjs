/**
 * What a worker of the campaign does, in a process of its own or beside others in one: some attempts throw, some hang, and the poison
 * job kills the process.
 */
exports.POISON = -1;

/** One draw for each attempt of each job, the same in every process. */
function draw(id, attempt, seed) {
  let x = Math.imul(id + 1, 0x9e3779b1) ^ Math.imul(attempt, 0x85ebca6b) ^ seed;
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
}

exports.work = (consume, { jobs, results, dead }, { seed, maxDeliveries, bad, hang, concurrency }) =>
  consume(
    jobs,
    async ({ id, arrivedMs }, job) => {
      const waitedMs = Date.now() - arrivedMs;
      if (id === exports.POISON) process.kill(process.pid, 'SIGKILL');
      if (job.deliveries === 1) results.putSync({ id, pid: process.pid, kind: 'began', waitedMs });
      const luck = id % 10 === 0 ? 1 : draw(id, job.deliveries, seed);
      if (luck < bad) throw new Error(`bad luck of ${id}`);
      if (luck < bad + hang) await new Promise(() => {});
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (job.signal.aborted) return;
      results.putSync({ id, pid: process.pid, kind: 'done', crashes: job.crashes });
    },
    {
      concurrency,
      timeoutMs: 200,
      maxDeliveries,
      deadLetter: dead,
      backoffMs: (n) => 20 * 2 ** (n - 1),
      onError() {},
    },
  );
