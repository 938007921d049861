/**
 * Request and reply between processes: any number of servers, any number of callers, one queue.
 *   node request-reply.mjs
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { getSageQueue } from 'sage-queue';
import { caller, serve } from 'sage-queue/work';

if (process.argv[2] === 'server') {
  const requests = getSageQueue(process.argv[3]);
  const server = serve(
    requests,
    async ({ of }) => {
      if (!(of >= 0)) throw new RangeError(`No square root of ${of}`);
      return Math.sqrt(of);
    },
    { concurrency: 10 },
  );
  await server.done; // ends when the queue is shut down
  await requests.close();
} else {
  const name = `roots-${process.pid}`;
  const requests = getSageQueue(name);
  const servers = [1, 2].map(() => fork(fileURLToPath(import.meta.url), ['server', name]));
  const roots = caller(requests, { timeoutMs: 20_000 });

  const answers = await Promise.all([4, 9, 16].map((of) => roots.call({ of })));
  console.log(answers.join(' '));
  await roots.call({ of: -1 }).catch((error) => console.log(`${error.name}: ${error.message}`));

  // A server that is killed leaves what it had to the other one.
  const calls = Promise.all(Array.from({ length: 200 }, (_, of) => roots.call({ of })));
  servers[0].kill('SIGKILL');
  console.log(`${(await calls).length} answers`);

  await roots.close();
  await requests.shutdown();
  await once(servers[1], 'exit');
  await requests.close();
}
