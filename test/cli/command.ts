/** Runs the built command line as a process of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SHM } from '../shm/place';

export const ROOT = join(__dirname, '../..');
export const MAIN = join(ROOT, 'dist/cli/main.js');

export interface Outcome {
  /** Status, or 128 and the signal's number as a shell shows it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly outcome: Promise<Outcome>;
}

/** Queues of a test file, told apart from those of every other run. */
export const uniqueName = (what: string): string => `test-cli-${what}-${process.pid}`;

export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run npm run build first.`);
  return followed(spawn(process.execPath, [MAIN, ...args], { cwd: ROOT, env: { ...process.env, ...env } }));
}

/** On a terminal, whose screen is `stdout` and whose keyboard is stdin; it ends with the command. */
export function startOnTerminal(
  args: readonly string[],
  { rows = 24, columns = 80, env = {} as NodeJS.ProcessEnv } = {},
): Running {
  const terminal = [join(__dirname, 'terminal.py'), String(rows), String(columns)];
  return followed(
    spawn('python3', [...terminal, process.execPath, MAIN, ...args], { cwd: ROOT, env: { ...process.env, ...env } }),
  );
}

function followed(child: ChildProcessWithoutNullStreams): Running {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that fails early reads no input.
  child.stdin.on('error', () => {});
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) =>
      resolve({ status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
  });
  return { child, outcome };
}

export async function command(args: readonly string[], input: string | Buffer = ''): Promise<Outcome> {
  const { child, outcome } = start(args);
  child.stdin.end(input);
  return outcome;
}

/** Through a shell, with `sq` as the command. */
export function shell(script: string): Promise<Outcome> {
  const child = spawn('bash', ['-c', `sq() { "${process.execPath}" "${MAIN}" "$@"; }; ${script}`], { cwd: ROOT });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.end();
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) =>
      resolve({ status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
  });
}

export const lines = (outcome: Outcome): string[] => outcome.stdout.toString().split('\n').slice(0, -1);

/** Exactly one line that names the program, and no stack trace. */
export function expectOneLine(stderr: string, holding: string | RegExp): void {
  expect(stderr).toMatch(/^sage-queue: [^\n]+\n$/);
  expect(stderr).toMatch(holding);
  expect(stderr).not.toMatch(/\n\s+at /);
}

/** Files in shared memory whose names hold this. */
export const segmentsNamed = (part: string): string[] => readdirSync(SHM).filter((file) => file.includes(part));

/** Looks every few milliseconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Within ${withinMs} ms it did not come to this: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface Listed {
  readonly uri: string;
  readonly qsize: number;
  readonly attached: readonly { readonly pid: number; readonly alive: boolean }[];
}

/** What `ls` says of a queue. */
export async function listed(uri: string): Promise<Listed | undefined> {
  const outcome = await command(['ls', '--json']);
  return (JSON.parse(outcome.stdout.toString()) as Listed[]).find((segment) => segment.uri === uri);
}

/** The figure in front of 'items', as get and put tell it: 1,677. */
export const itemsIn = (stderr: string): number => Number(/([\d,]+) items/.exec(stderr)![1]!.replaceAll(',', ''));
