#!/usr/bin/env node
/** `sage-queue`: finds the command, runs it, and turns what goes wrong into one line on stderr and an exit status. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, UsageError, readArguments } from './command';
import type { Command } from './command';
import { commandNames, findCommand } from './command-table';
import { PACKAGE_ROOT } from '../package-root';
import { Interrupted } from './io/interrupt';

const URIS = `A QUEUE is named by a URI or by a descriptor:
  shm:NAME  sage:NAME  rpc://HOST:PORT/ID  ray://HOST:PORT/ID  ray-actor://HOST:PORT/NAME
  '{"queue_id":…}'  @descriptor.json`;

const STATUSES = `Exit status: 0 done, 1 something went wrong, 2 wrong command line, 3 --timeout-ms struck,
  130 Ctrl-C, 141 the reader of the output has gone.`;

function overview(): string {
  const rows = commandNames().map((name) => `  ${name.padEnd(12)}${findCommand(name).summary}`);
  return [
    'Usage: sage-queue COMMAND [operands] [options]',
    '',
    ...rows,
    '',
    URIS,
    '',
    STATUSES,
    '',
    "'sage-queue COMMAND --help' tells more, with examples. 'sage-queue --version' tells the version.",
    '',
  ].join('\n');
}

function commandHelp(command: Command): string {
  return [
    `Usage: sage-queue ${command.usage}`,
    '',
    `${command.summary}.`,
    '',
    command.help,
    '',
    command.examples.length === 1 ? 'Example:' : 'Examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n');
}

const version = (): string =>
  (JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string }).version;

async function run(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined || first === '--help' || first === '-h' || (first === 'help' && rest.length === 0)) {
    (first === undefined ? process.stderr : process.stdout).write(overview());
    return first === undefined ? EXIT_USAGE : EXIT_OK;
  }
  if (first === '--version' || first === '-V') {
    process.stdout.write(`${version()}\n`);
    return EXIT_OK;
  }
  const name = first === 'help' ? rest[0]! : first;
  const command = findCommand(name);
  const end = rest.indexOf('--');
  const asked = end === -1 ? rest : rest.slice(0, end);
  if (first === 'help' || asked.includes('--help') || asked.includes('-h')) {
    process.stdout.write(commandHelp(command));
    return EXIT_OK;
  }
  return command.run(readArguments(name, command, rest));
}

/** The message of an error as one line. */
function oneLine(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: string; code?: unknown };
  const text = (message ?? String(error)).replace(/\s*\n\s*/g, ' ');
  if (typeof code !== 'string' || !code.startsWith('ERR_')) return text;
  // One that came over the wire may bring the code of the other side.
  return /\(ERR_[A-Z_]+\)/.test(text) ? text : `${text} (${code})`;
}

/** These are about what was typed: a descriptor that is none, a name that no queue can have. */
const USAGE_CODES: readonly unknown[] = ['ERR_DESCRIPTOR_INVALID', 'ERR_SEGMENT_NAME'];
const isUsage = (error: unknown): boolean =>
  error instanceof UsageError || USAGE_CODES.includes((error as { code?: unknown } | undefined)?.code);

/** Resolves when what was written to the stream is out, or never will be. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  stream.writableLength === 0 || stream.destroyed
    ? Promise.resolve()
    : new Promise((resolve) => {
        stream.once('close', resolve);
        stream.write('', () => resolve());
      });

/** What was written is out before the process ends, which is then not kept by what else may still be open. */
function leave(status: number, streams: readonly NodeJS.WriteStream[] = [process.stdout, process.stderr]): void {
  process.exitCode = status;
  void Promise.all(streams.map(flushed)).then(() => process.exit(status));
}

// The commands that stream look at each write themselves; for the others a reader that has gone is no news, a full disk is.
let outputError: NodeJS.ErrnoException | undefined;
process.stdout.on('error', (error: NodeJS.ErrnoException) => (outputError = error));
process.stderr.on('error', () => {});

/** The status of a command that ended well, as far as its output did. */
async function written(status: number): Promise<number> {
  if (status !== EXIT_OK) return status;
  await flushed(process.stdout);
  // What became of the last write is told in a turn of its own.
  await new Promise(setImmediate);
  if (outputError === undefined || outputError.code === 'EPIPE') return status;
  process.stderr.write(`sage-queue: The output could not be written: ${oneLine(outputError)}.\n`);
  return EXIT_FAILED;
}

run(process.argv.slice(2)).then(
  async (status) => leave(await written(status)),
  (error: unknown) => {
    if (error instanceof Interrupted) {
      process.stderr.write(`sage-queue: ${error.message}\n`);
      // What nobody reads from stdout has been given back, and would keep the process for ever.
      return leave(error.status, [process.stderr]);
    }
    process.stderr.write(`sage-queue: ${oneLine(error)}\n`);
    leave(isUsage(error) ? EXIT_USAGE : EXIT_FAILED);
  },
);
