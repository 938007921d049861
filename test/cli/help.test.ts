import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, command } from './command';

const commands = [
  'put',
  'get',
  'ls',
  'stat',
  'top',
  'rm',
  'prune',
  'doctor',
  'demo',
  'serve',
  'peek',
  'mv',
  'redrive',
  'metrics',
  'completion',
];

test('--help lists the commands, --version is that of the package', async () => {
  const help = await command(['--help']);
  expect(help).toMatchObject({ status: 0, stderr: '' });
  for (const name of commands) expect(help.stdout.toString()).toMatch(new RegExp(`^  ${name} `, 'm'));
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  expect((await command(['--version'])).stdout.toString()).toBe(`${version}\n`);
});

test('without a command the overview goes to stderr, with status 2', async () => {
  const outcome = await command([]);
  expect(outcome).toMatchObject({ status: 2, stdout: Buffer.alloc(0) });
  expect(outcome.stderr).toMatch(/^Usage: /);
});

test.each(commands)('%s --help has an example', async (name) => {
  const outcome = await command([name, '--help']);
  expect(outcome).toMatchObject({ status: 0, stderr: '' });
  expect(outcome.stdout.toString()).toMatch(
    new RegExp(`Examples?:\\n(  .*\\|?.*sage-queue ${name}|  .*sage-queue ${name})`),
  );
});
