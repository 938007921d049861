// A real, small Ray head for tests and benchmarks: found or installed, bound to loopback, and stopped with what it started.
//
//   node scripts/test/ray-cluster.mjs [--secured] COMMAND [ARG …]
//
// runs the command with RAY_ADDRESS, RAY_PYTHON and RAY_GCS_ADDRESS set. --secured: the cluster takes nobody without a certificate of its
// authority and, from Ray 2.52 on, its token; Ray's own variables name them to the command.
//
// RAY_ADDRESS=ray://… uses that cluster instead. RAY_VERSION chooses the version (default 2.58.0), PYTHON the interpreter.
// Without Python or Ray it says so and leaves with 0, or with 1 when CI=true.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const version = process.env.RAY_VERSION ?? '2.58.0';

class Unavailable extends Error {}

/**
 * The environment that keeps every listener of Ray on loopback, its proxy from forking under gRPC's threads, and its workers from yielding
 * to everything else that this machine does (Ray gives them niceness 15).
 */
export const rayEnvironment = {
  RAY_worker_niceness: '0',
  RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER: '0',
  GRPC_ENABLE_FORK_SUPPORT: '0',
  TIMEOUT_FOR_SPECIFIC_SERVER_S: '5',
  RAY_USAGE_STATS_ENABLED: '0',
};

/** A directory with bin/ray and bin/python: made and filled when it is not there. */
function virtualEnvironment() {
  const directory = join(root, '.cache', `ray-${version}`);
  if (existsSync(join(directory, 'bin/ray'))) return directory;
  const python = process.env.PYTHON ?? 'python3';
  output(python, ['-m', 'venv', directory]);
  try {
    output(join(directory, 'bin/pip'), [
      'install',
      '--quiet',
      '--disable-pip-version-check',
      `ray[client]==${version}`,
      'numpy',
      // Older versions of Ray import pkg_resources, which later ones lack.
      'setuptools<81',
    ]);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return directory;
}

/** Throws when the command cannot be run. @returns its standard output. */
function output(command, args) {
  const child = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  if (child.error) throw new Unavailable(`${command} cannot be run (${child.error.code})`);
  if (child.status !== 0)
    throw new Unavailable(`'${command} ${args.join(' ')}' failed: ${child.stderr.trim().split('\n').pop()}`);
  return child.stdout;
}

/** The variables that make a cluster, and its clients, use TLS both ways and a token. `stranger` is an authority that signed nothing. */
function credentials(directory) {
  const file = (name) => join(directory, name);
  const certificate = (name, ...args) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file(`${name}.key`)];
    output('openssl', [
      'req',
      '-x509',
      ...key,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-out',
      file(`${name}.crt`),
      ...args,
    ]);
  };
  certificate('authority');
  certificate('stranger');
  const signed = ['-CA', file('authority.crt'), '-CAkey', file('authority.key')];
  certificate(
    'server',
    ...signed,
    '-addext',
    'subjectAltName=IP:127.0.0.1,DNS:localhost',
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  );
  const [, minor] = version.split('.').map(Number);
  return {
    RAY_USE_TLS: '1',
    RAY_TLS_CA_CERT: file('authority.crt'),
    RAY_TLS_SERVER_CERT: file('server.crt'),
    RAY_TLS_SERVER_KEY: file('server.key'),
    STRANGER_CA_CERT: file('stranger.crt'),
    ...(minor >= 52 && { RAY_AUTH_MODE: 'token', RAY_AUTH_TOKEN: randomBytes(32).toString('hex') }),
  };
}

function freePort(from, to) {
  const port = from + Math.floor(Math.random() * (to - from));
  return new Promise((resolve) => {
    const server = net.createServer();
    server.on('error', () => resolve(freePort(from, to)));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)));
  });
}

async function until(what, timeoutMs, condition) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const outcome = await condition();
    if (outcome) return outcome;
    if (Date.now() > deadline) throw new Error(`Ray was not ready within ${timeoutMs} ms: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const answers = (port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });

/** @returns {Promise<{ address: string, gcsAddress: string, python: string, stop(): Promise<void> }>} */
export async function startCluster({ environment = {} } = {}) {
  const venv = virtualEnvironment();
  const directory = mkdtempSync(join(tmpdir(), 'ry'));
  // Outside 10002 to 19999, where Ray puts its workers, and 23000 to 23999, where its client servers are.
  const port = await freePort(21000, 22000);
  const gcsPort = await freePort(20000, 21000);
  const args = [
    'start',
    '--head',
    '--block',
    '--node-ip-address=127.0.0.1',
    `--port=${gcsPort}`,
    `--ray-client-server-port=${port}`,
  ];
  args.push('--num-cpus=2', '--include-dashboard=false', '--disable-usage-stats', '--no-monitor');
  if (output(join(venv, 'bin/ray'), ['start', '--help']).includes('--include-log-monitor'))
    args.push('--include-log-monitor=false');
  args.push('--object-store-memory=78643200', `--temp-dir=${directory}`);
  const env = { ...process.env, ...rayEnvironment, ...environment };
  delete env.RAY_ADDRESS;
  // A group of its own: a signal to the test runner does not take Ray down before the tests are done.
  const head = spawn(join(venv, 'bin/ray'), args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let said = '';
  head.stdout.on('data', (text) => (said += text));
  head.stderr.on('data', (text) => (said += text));
  const exited = new Promise((resolve) => head.on('exit', resolve));
  let running = true;
  void exited.then(() => (running = false));
  const stop = async () => {
    if (running) head.kill('SIGTERM');
    const timer = setTimeout(() => running && process.kill(-head.pid, 'SIGKILL'), 15_000);
    await exited;
    clearTimeout(timer);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await until('its client server does not listen', 60_000, () => {
      if (!running) throw new Error(`ray start failed:\n${said}`);
      return answers(port);
    });
    return {
      address: `ray://127.0.0.1:${port}`,
      gcsAddress: `127.0.0.1:${gcsPort}`,
      python: join(venv, 'bin/python'),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function main(argv) {
  const secured = argv[0] === '--secured';
  const [command, ...args] = secured ? argv.slice(1) : argv;
  if (command === undefined) {
    console.error('usage: node scripts/test/ray-cluster.mjs [--secured] COMMAND [ARG …]');
    return 2;
  }
  let cluster;
  let environment = {};
  const directory = mkdtempSync(join(tmpdir(), 'ray-credentials-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  // A secured one is always its own.
  if (secured || !process.env.RAY_ADDRESS?.startsWith('ray://')) {
    try {
      if (secured) environment = credentials(directory);
      cluster = await startCluster({ environment });
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      console.error(
        `Skipped: the tests against a real Ray cluster (ray[client]==${version} is not here, or cannot be used: ${error.message}).`,
      );
      return process.env.CI === 'true' ? 1 : 0;
    }
  }
  try {
    const env = { ...process.env, ...rayEnvironment, ...environment };
    if (cluster)
      Object.assign(env, {
        RAY_ADDRESS: cluster.address,
        RAY_GCS_ADDRESS: cluster.gcsAddress,
        RAY_PYTHON: cluster.python,
      });
    const child = spawn(command, args, { env, stdio: 'inherit' });
    const forward = (signal) => child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(signal ? 1 : code));
    });
  } finally {
    await cluster?.stop();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
