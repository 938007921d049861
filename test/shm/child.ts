/**
 * Child processes of plain node on the built package, which talk in lines of JSON, and queues with names of this file's own.
 * Everything started is stopped after each test; after each file /dev/shm holds nothing that it made.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import { sweepDoorbells } from '../../lib/transports/shm/segments';
import type { NativeQueue, ResolveOptions, SageOptions, SageQueue } from '../../lib';
import { SHM } from './place';

export const root = join(__dirname, '../..');
export const types = ['shm', 'sage_queue'] as const;
export type NativeType = (typeof types)[number];
export { SHM };
export const isRoot = process.getuid?.() === 0;

/** What every child can use: `open()` attaches to the queue of its first argument, `given` are the others. */
const prelude = `
const fs = require('node:fs');
const sq = require('sage-queue');
const say = (value) => { fs.writeSync(1, JSON.stringify(value) + '\\n'); };
const now = () => Number(process.hrtime.bigint()) / 1e6;
const [descriptor, ...given] = process.argv.slice(1).map((text) => JSON.parse(text));
const open = (options) => sq.resolveDescriptor(descriptor, options);
/** Blocks for the next line from the parent. */
const hear = () => {
  const byte = Buffer.alloc(1);
  let text = '';
  while (fs.readSync(0, byte, 0, 1) === 1 && byte[0] !== 10) text += byte.toString('latin1');
  return text === '' ? undefined : JSON.parse(text);
};
`;

export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

export interface StartOptions {
  flags?: string[];
  env?: NodeJS.ProcessEnv;
  uid?: number;
  /** Runs in front of node, as `strace -c`. */
  wrapper?: string[];
}

/** In front of a command: in namespaces of its own, as a container has them. */
export const APART = [
  ...['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child', '--mount-proc', '--ipc', '--net'],
];
/** `npm run test:apart` has every child live so that is not told to live otherwise. */
const wrapper = process.env.SAGE_QUEUE_TEST_APART === undefined ? [] : APART;

/** Words that end a test as the system does, whatever the exit status says. */
const ABORT = /Assertion|Aborted|FATAL ERROR|terminate called|Segmentation|double free|corrupted/i;

const running = new Set<Child>();

export class Child {
  private readonly lines: unknown[] = [];
  private readonly takers: { resolve(line: unknown): void; reject(error: Error): void }[] = [];
  private readonly process: ChildProcessWithoutNullStreams;
  private stderr = '';
  private readonly stays: boolean;
  readonly ended: Promise<Ending>;

  constructor(program: string, args: unknown[], options: StartOptions) {
    const front = options.wrapper ?? (options.uid === undefined ? wrapper : []);
    this.stays = front.includes('--fork');
    const command = [...front, process.execPath, ...(options.flags ?? []), '-e', prelude + program];
    this.process = spawn(command[0]!, [...command.slice(1), ...args.map((arg) => JSON.stringify(arg))], {
      cwd: root,
      env: { ...process.env, ...options.env },
      uid: options.uid,
      gid: options.uid,
      detached: this.stays,
    });
    running.add(this);
    this.process.stdin.on('error', () => {});
    this.process.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    createInterface({ input: this.process.stdout }).on('line', (text) => {
      const line: unknown = JSON.parse(text);
      const taker = this.takers.shift();
      if (taker === undefined) this.lines.push(line);
      else taker.resolve(line);
    });
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      running.delete(this);
      const why = new Error(`the child ended (${code ?? signal}) without another line; stderr: ${this.stderr}`);
      for (const taker of this.takers.splice(0)) taker.reject(why);
      return { code: code as number | null, signal: signal as NodeJS.Signals | null, stderr: this.stderr };
    });
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** The next line it says. Rejects when it ends without one. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- lines of JSON
  async next(): Promise<any> {
    if (this.lines.length > 0) return this.lines.shift();
    if (!running.has(this)) throw new Error(`the child has ended; stderr: ${this.stderr}`);
    return new Promise((resolve, reject) => this.takers.push({ resolve, reject }));
  }

  tell(value: unknown): this {
    this.process.stdin.write(`${JSON.stringify(value)}\n`);
    return this;
  }

  signal(signal: NodeJS.Signals): this {
    if (this.process.exitCode === null && this.process.signalCode === null) process.kill(this.target(), signal);
    return this;
  }

  /**
   * The process itself where a wrapper stays in front of it, which ends when all of that process is gone. Where it is not there yet,
   * the group of both: the wrapper may be about to make it.
   */
  private target(): number {
    if (!this.stays) return this.pid;
    try {
      const [child] = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').split(' ');
      return Number(child) || -this.pid;
    } catch {
      return -this.pid;
    }
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  /** Waits for a clean end, and returns what it said that nobody has taken. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- lines of JSON
  async clean(): Promise<any[]> {
    const { code, signal, stderr } = await this.ended;
    if (code !== 0 || stderr !== '' || ABORT.test(stderr)) {
      throw new Error(`the child ended with ${code ?? signal}; stderr: ${stderr}`);
    }
    return this.lines.splice(0);
  }
}

/** Starts `program`; it sees `queue` as `descriptor`, and the rest as `given`. */
export function start(program: string, queue: unknown, given: unknown[] = [], options: StartOptions = {}): Child {
  return new Child(program, [queue ?? null, ...given], options);
}

/** Runs a program to its clean end; what it said. */
export const run = async (
  program: string,
  queue: unknown,
  given: unknown[] = [],
  options: StartOptions = {},
): ReturnType<Child['clean']> => start(program, queue, given, options).clean();

const tag = `${basename(expect.getState().testPath ?? 'test', '.test.ts')}.${process.pid}`;
let count = 0;
export const freshName = (): string => `${tag}.${count++}`;

export function describeQueue(type: NativeType, options: SageOptions = {}, name = freshName()): QueueDescriptor {
  return type === 'shm'
    ? QueueDescriptor.createShmQueue(undefined, name, options)
    : QueueDescriptor.createSageQueue(name, options);
}

/** A handle of this process, typed as what both types have; `attachSage` for what only sage_queue has. */
export const attach = <T = unknown>(descriptor: QueueDescriptor, options?: ResolveOptions): NativeQueue<T> =>
  resolveDescriptor<T>(descriptor, options) as NativeQueue<T>;
export const attachSage = <T = unknown>(descriptor: QueueDescriptor): SageQueue<T> =>
  attach<T>(descriptor) as SageQueue<T>;

/** Names in /dev/shm that belong to this test file, or to one queue of it. */
export const segmentFiles = (of = tag): string[] =>
  readdirSync(SHM).filter((file) => file.includes(of) && (of === tag || file.endsWith(of)));

export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Polls a condition that nothing announces. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = now() + 15_000;
  while (!(await condition())) {
    if (now() > deadline) throw new Error(`waited 15 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The error that `call` ends with. */
export async function errorOf(call: () => unknown): Promise<Error & { code?: string; accepted?: number }> {
  try {
    await call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected an error, but the call succeeded');
}

afterEach(async () => {
  await Promise.all(
    [...running].map((child) => {
      child.signal('SIGCONT');
      return child.kill();
    }),
  );
});

afterAll(() => {
  // Those of children that were killed when nobody was left to recover them.
  sweepDoorbells();
  expect(segmentFiles()).toEqual([]);
});

/** What is there, without waiting. */
export function drain<T>(queue: NativeQueue<T>): T[] {
  const items: T[] = [];
  while (!queue.emptySync()) items.push(...queue.getManySync(64, { block: false }));
  return items;
}
