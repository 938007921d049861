import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined);

const root = fileURLToPath(new URL('../..', import.meta.url));

function commit() {
  try {
    const git = (...args) =>
      execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return (
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--', 'lib', 'native') === '' ? '' : ' with changes')
    );
  } catch {
    return undefined;
  }
}

export function describeMachine() {
  const distribution = /PRETTY_NAME="(.*)"/.exec(read('/etc/os-release') ?? '')?.[1];
  return {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    distribution,
    governor: read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
    pinned: 'nothing',
    loadAtStart: loadavg().map((value) => Number(value.toFixed(2))),
    node: process.version,
    package: JSON.parse(read(`${root}/package.json`)).version,
    commit: commit(),
  };
}
