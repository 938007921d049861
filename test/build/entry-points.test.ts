/** The built package: one copy of every class for all entry points and both ways of loading, and stack traces that lead to the sources. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>;
};
const ENTRIES = Object.keys(exports)
  .filter((entry) => entry !== './package.json')
  .map((entry) => entry.replace('.', 'sage-queue'));

/** What a program of plain node writes as JSON; it may be an ES module and finds the package by its own name. */
const node = (program: string, ...flags: string[]): unknown =>
  JSON.parse(
    execFileSync(process.execPath, [...flags, '--input-type=module', '-e', program], { cwd: ROOT, encoding: 'utf8' }),
  );

test.each(ENTRIES)('import and require of %s hand out the same values under the same names', (entry) => {
  const program = `
    import { createRequire } from 'node:module';
    import * as imported from '${entry}';
    const required = createRequire(import.meta.url)('${entry}');
    const names = Object.keys(required).filter((name) => name !== '__esModule').sort();
    const differ = names.filter((name) => imported[name] !== required[name]);
    console.log(JSON.stringify({ names, imported: Object.keys(imported).filter((name) => name !== 'default').sort(), differ }));`;
  const { names, imported, differ } = node(program) as { names: string[]; imported: string[]; differ: string[] };
  expect(names.length).toBeGreaterThan(0);
  expect(imported).toEqual(names);
  expect(differ).toEqual([]);
});

test('all entry points stand on the classes of sage-queue', () => {
  const program = `
    import { BaseQueue, QueueDescriptor, QueueError, resolveDescriptor } from 'sage-queue';
    import { RpcQueue } from 'sage-queue/rpc';
    import { RayQueue, RayTaskError } from 'sage-queue/ray';
    import { StubQueue } from 'sage-queue/testing';
    const stub = new StubQueue(QueueDescriptor.createLocalQueue('q'));
    const thrown = await stub.get({ block: false }).catch((error) => error);
    const rpc = resolveDescriptor(QueueDescriptor.createRpcQueue('localhost', 1, 'q'));
    console.log(JSON.stringify([
      RpcQueue.prototype instanceof BaseQueue, RayQueue.prototype instanceof BaseQueue, RayTaskError.prototype instanceof QueueError,
      stub.descriptor instanceof QueueDescriptor, thrown instanceof QueueError, rpc instanceof RpcQueue,
    ]));
    await rpc.close();`;
  expect(node(program)).toEqual([true, true, true, true, true, true]);
});

test('a stack trace leads to lib/ where source maps are on', () => {
  const program = `
    import { resolveDescriptor } from 'sage-queue';
    try { resolveDescriptor('{'); } catch (error) { console.log(JSON.stringify(error.stack)); }`;
  const stack = node(program, '--enable-source-maps') as string;
  const [, file, line] = /(lib\/resolve\/registry\.ts):(\d+)/.exec(stack) ?? [];
  expect(file).toBeDefined();
  expect(readFileSync(join(ROOT, file!), 'utf8').split('\n')[Number(line) - 1]).toContain('fromJSON');
});

test('nothing but what is asked for is loaded', () => {
  const program = `
    import { createRequire } from 'node:module';
    const require = createRequire(import.meta.url);
    require('sage-queue');
    console.log(JSON.stringify(Object.keys(require.cache).map((file) => file.replace(/.*\\/dist\\//, ''))));`;
  expect(node(program)).toEqual(['index.js', 'core.js']);
});
