import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '../..');

/** Runs a program in plain node on the built package. */
function run(program: string, ...flags: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [...flags, '-e', program], { cwd: root, encoding: 'utf8', timeout: 20_000 });
}

const queue = "const { getLocalQueue } = require('sage-queue'); const queue = getLocalQueue('life');";

test('a get that waits keeps the process alive until it is served', () => {
  const { stdout, status } = run(
    `${queue} queue.get().then((item) => console.log(item)); setTimeout(() => queue.put('came'), 100).unref();`,
  );
  expect([stdout, status]).toEqual(['came\n', 0]);
});

test('a get that waits with a timeout keeps the process alive until then', () => {
  const { stdout } = run(`${queue} queue.get({ timeoutMs: 100 }).catch((error) => console.log(error.code));`);
  expect(stdout).toBe('ERR_QUEUE_EMPTY\n');
});

test.each([
  'queue.unref().get()',
  'queue.get(); queue.unref()',
  'queue.unref().get({ timeoutMs: 60000 })',
  'queue.get(); queue.close().catch(() => {})',
])('%s does not', (calls) => {
  const start = performance.now();
  const { status, stderr } = run(`${queue} process.on('unhandledRejection', () => {}); ${calls};`);
  expect([status, stderr]).toEqual([0, '']);
  expect(performance.now() - start).toBeLessThan(15_000);
});

test('a custom type with the four methods does as it is told by ref and unref', () => {
  const custom = `
    const { QueueDescriptor, registerQueueImplementation, resolveDescriptor } = require('sage-queue');
    registerQueueImplementation('never', () => ({ put() {}, get: () => new Promise(() => {}), empty: () => true, qsize: () => 0 }));
    const queue = resolveDescriptor(new QueueDescriptor({ queueId: 'life', queueType: 'never' }));
    const ended = () => console.log('ended');
    setTimeout(() => queue.close(), 200).unref();`;
  for (const calls of ['queue.unref().get()', 'queue.get(); queue.unref()'])
    expect(run(`${custom} ${calls}`).stdout).toBe('');
  for (const calls of ['queue.get().catch(ended)', 'queue.unref(); queue.get().catch(ended); queue.ref()'])
    expect(run(`${custom} ${calls}`).stdout).toBe('ended\n');
});

test('ref after unref keeps it alive again', () => {
  const { stdout } = run(`${queue} queue.unref(); queue.get().then((item) => console.log(item)); queue.ref(); setTimeout(() => queue.put('came'), 100).unref();`); // prettier-ignore
  expect(stdout).toBe('came\n');
});

test('importing the package loads no transport, and require and import share one copy', () => {
  const { stdout, stderr } = run(`
    const required = require('sage-queue');
    const loaded = Object.keys(require.cache).filter((file) => /queues|\\.node$|grpc/.test(file));
    import('sage-queue').then((imported) => console.log(loaded.length, imported.QueueDescriptor === required.QueueDescriptor));
  `);
  expect(stderr).toBe('');
  expect(stdout).toBe('0 true\n');
});

test('the contract suite runs under node:test', () => {
  const { stdout, status } = run(
    `
    const { describeQueueContract, StubQueue } = require('sage-queue/testing');
    const { QueueDescriptor, getSageQueue } = require('sage-queue');
    describeQueueContract('here', () => new StubQueue(QueueDescriptor.createLocalQueue(undefined, { maxsize: 3 })), { bounded: true });
    let next = 0;
    const name = () => \`test-node-test-\${process.pid}-\${next++}\`;
    describeQueueContract('shared', () => getSageQueue(name(), { maxsize: 3 }), { bounded: true, shared: true });
    `,
    '--test-reporter=tap',
  );
  expect(stdout).toMatch(/# fail 0\n# cancelled 0/);
  expect(Number(/# pass (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(50);
  expect(status).toBe(0);
});

test('the contract suite runs under jest without its globals', () => {
  const folder = mkdtempSync(join(root, 'build/no-globals-'));
  try {
    writeFileSync(join(folder, 'jest.config.json'), JSON.stringify({ injectGlobals: false, testMatch: ['**/*.cjs'] }));
    writeFileSync(
      join(folder, 'contract.cjs'),
      `const { describeQueueContract, StubQueue } = require('sage-queue/testing');
      const { QueueDescriptor } = require('sage-queue');
      describeQueueContract('here', () => new StubQueue(QueueDescriptor.createLocalQueue()));`,
    );
    const jest = [require.resolve('jest/bin/jest'), '--config', 'jest.config.json', '--json'];
    const { stdout } = spawnSync(process.execPath, jest, { cwd: folder, encoding: 'utf8', timeout: 20_000 });
    const { numPassedTests, numFailedTests } = JSON.parse(stdout) as Record<string, number>;
    expect(numFailedTests).toBe(0);
    expect(numPassedTests).toBeGreaterThan(30);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the contract suite asks vitest to be imported where it has no globals', () => {
  const { stderr } = run(`
    globalThis.__vitest_worker__ = {};
    require('sage-queue/testing').describeQueueContract('here', () => {});
  `);
  expect(stderr).toMatch(/TypeError: describeQueueContract cannot reach vitest/);
});
