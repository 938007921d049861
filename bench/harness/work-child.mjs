/** The other side of bench/work.mjs, in a process of its own. It says that it is ready, and leaves its queues when it is told to end. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { resolveDescriptor } = require('./package.cjs');
process.on('SIGTERM', () => process.exit());
const [role, ...given] = process.argv.slice(2);
const [first, second] = given.map((text) => JSON.parse(text));

const roles = {
  serve() {
    const { serve } = require('../../dist/work.js');
    serve(resolveDescriptor(first), (n) => n, { concurrency: 64 });
  },
  async echo() {
    const [there, back] = [resolveDescriptor(first), resolveDescriptor(second)];
    for await (const item of there) await back.put(item);
  },
  async zeromq() {
    const { Router } = require('zeromq');
    const router = new Router();
    await router.bind(first);
    for await (const [peer, id, body] of router)
      await router.send([peer, id, JSON.stringify(JSON.parse(body.toString()))]);
  },
};

const running = roles[role]();
setTimeout(() => process.stdout.write('ready\n'), 100);
await running;
