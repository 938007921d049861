import { EXIT_FAILED, EXIT_OK } from '../command';
import type { Arguments, Command } from '../command';
import { checks } from './doctor-checks';
import { standstills } from './doctor-standstills';
import type { Finding } from './doctor-checks';

export const doctor: Command = {
  summary: 'Says what is wrong with this host or installation, and what to type',
  usage: 'doctor [--json]',
  help: `Looks at Node and libc, the native addon, /dev/shm, queues left behind or standing still, logind's RemoveIPC and namespaces.
Status 1 when something is wrong; advice alone leaves it at 0.

  --json   { ok, findings: [{ check, status: 'ok' | 'advice' | 'wrong', found, type? }] }; 'type' is what to type`,
  examples: ['sage-queue doctor', 'sage-queue doctor --json | jq \'.findings[] | select(.status != "ok")\''],
  options: { json: { type: 'boolean' } },
  operands: [0, 0],
  run,
};

async function run(args: Arguments): Promise<number> {
  const findings = [...checks.flatMap((check) => check()), ...(await standstills())];
  const ok = findings.every(({ status }) => status !== 'wrong');
  process.stdout.write(args.flag('json') ? `${JSON.stringify({ ok, findings }, undefined, 2)}\n` : shown(findings));
  return ok ? EXIT_OK : EXIT_FAILED;
}

function shown(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings
    .flatMap(({ check, status, found, type }) => [
      `${status.padEnd(6)}  ${check.padEnd(width)}  ${found}`,
      ...(type === undefined ? [] : [`${' '.repeat(width + 10)}type: ${type}`]),
    ])
    .map((line) => `${line}\n`)
    .join('');
}
