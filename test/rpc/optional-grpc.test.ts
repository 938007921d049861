import { execFileSync } from 'node:child_process';

const run = (code: string): string =>
  execFileSync(process.execPath, ['-e', code], { cwd: __dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Makes a process believe that gRPC is not installed. */
const WITHOUT_GRPC = `
  const Module = require('node:module');
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    if (request.startsWith('@grpc/')) throw Object.assign(new Error('Cannot find module ' + request), { code: 'MODULE_NOT_FOUND' });
    return resolve.call(this, request, ...rest);
  };
`;

test('importing the package, and using a local queue, loads no gRPC', () => {
  const loaded = run(`
    const { getLocalQueue } = require('sage-queue');
    getLocalQueue('q').put(1).then(() => console.log(Object.keys(require.cache).filter((file) => /@grpc|protobufjs/.test(file)).length));
  `);
  expect(loaded.trim()).toBe('0');
});

test("without it, 'sage-queue/rpc' can be imported, and using it names the command that installs it", () => {
  const said = run(`
    ${WITHOUT_GRPC}
    const { getRpcQueue } = require('sage-queue');
    const { QueueServer } = require('sage-queue/rpc');
    try { getRpcQueue('127.0.0.1', 1, 'q'); } catch (error) { console.log(error.code, error.message); }
    new QueueServer().start().catch((error) => console.log(error.code, error.message));
  `);
  const lines = said.trim().split('\n');
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(/^ERR_QUEUE_CONNECTION .*npm i @grpc\/grpc-js/);
});
