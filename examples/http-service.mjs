/**
 * An HTTP service whose heavy work is done by a pool of other processes: the one that answers stays quick.
 *   npm install fastify && node http-service.mjs [PORT]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { scryptSync } from 'node:crypto';
import Fastify from 'fastify';
import { QueueTimeoutError, getSageQueue } from 'sage-queue';
import { RemoteError, caller, serve } from 'sage-queue/work';

const [role, name] = process.argv.slice(2);
if (role === 'worker') await work(name);
else await listen(Number(role ?? 0), `hashes-${process.pid}`);

async function work(queue) {
  const requests = getSageQueue(queue);
  const server = serve(requests, ({ password }) => {
    if (password.length < 8) throw new RangeError('A password has at least eight characters');
    // A tenth of a second of one core: in the process that answers it would hold up everybody.
    return scryptSync(password, 'salt', 32, { N: 2 ** 15, maxmem: 2 ** 27 }).toString('hex');
  });
  process.once('SIGTERM', () => void server.stop());
  await server.done;
  await requests.close();
}

async function listen(port, queue) {
  // A hundred may wait; whoever comes then is told at once, instead of waiting for what nobody can do in time.
  const requests = getSageQueue(queue, { maxsize: 100 });
  const workers = [1, 2].map(() => fork(fileURLToPath(import.meta.url), ['worker', queue]));
  const hashing = caller(requests, { timeoutMs: 5000 });

  const app = Fastify();
  app.post('/hash', async ({ body, raw }, reply) => {
    // A client that hangs up takes its request along.
    const gone = new AbortController();
    raw.once('close', () => raw.complete || gone.abort());
    try {
      return { hash: await hashing.call({ password: body.password }, { signal: gone.signal }) };
    } catch (error) {
      if (error instanceof RemoteError) return reply.code(400).send({ error: error.message });
      if (error instanceof QueueTimeoutError) return reply.code(503).send({ error: 'Too busy, try again' });
      throw error;
    }
  });

  const address = await app.listen({ port, host: '127.0.0.1' });
  console.log(`listening at ${address}`);
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await app.close(); // lets requests under way finish
  await hashing.close();
  await requests.shutdown();
  await Promise.all(workers.map((worker) => worker.exitCode ?? once(worker, 'exit')));
  await requests.close();
}
