/** What a command is, how its arguments are read, and what its exit status means. */
import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';

export const EXIT_OK = 0;
/** Something went wrong; the line on stderr says what. */
export const EXIT_FAILED = 1;
/** The command line itself is wrong. */
export const EXIT_USAGE = 2;
/** `--timeout-ms` struck. */
export const EXIT_TIMEOUT = 3;
/** As a shell shows a program that SIGPIPE ended: whoever read the output has gone. */
export const EXIT_CLOSED_PIPE = 141;

export type Options = NonNullable<ParseArgsConfig['options']>;
type Value = string | boolean | (string | boolean)[] | undefined;

export interface Command {
  /** One line of the list that `sage-queue --help` prints. */
  readonly summary: string;
  /** After `sage-queue`: `put QUEUE [FILE] [options]`. */
  readonly usage: string;
  /** What `sage-queue NAME --help` prints below the usage: the options and what they do. */
  readonly help: string;
  readonly examples: readonly string[];
  readonly options: Options;
  /** Fewest and most operands. */
  readonly operands: readonly [number, number];
  /** Resolves to the exit status; what it throws becomes one line on stderr. */
  run(args: Arguments): Promise<number>;
}

/** The command line is wrong: one line on stderr and EXIT_USAGE. */
export class UsageError extends Error {}

/** The operands and options of one call. */
export class Arguments {
  constructor(
    readonly operands: readonly string[],
    private readonly values: Readonly<Record<string, Value>>,
  ) {}

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.values[name];
    return typeof value === 'string' ? value : undefined;
  }

  texts(name: string): string[] {
    const value = this.values[name];
    return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : [];
  }

  /** @throws UsageError */
  integer(name: string, least = 0): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new UsageError(`--${name} takes an integer of at least ${least}, found '${text}'.`);
  }
}

/** @throws UsageError that names the command's help. */
export function readArguments(name: string, command: Command, argv: readonly string[]): Arguments {
  const hint = `Try 'sage-queue ${name} --help'.`;
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: command.options,
      allowPositionals: true,
      strict: true,
    });
    const [least, most] = command.operands;
    if (positionals.length < least) throw new UsageError(`${name} needs an operand more: sage-queue ${command.usage}.`);
    if (positionals.length > most)
      throw new UsageError(`${name} does not know what to do with '${positionals[most]}'.`);
    return new Arguments(positionals, values as Record<string, Value>);
  } catch (error) {
    const message = (error as Error).message.split('\n')[0]!.replace(/\. To specify a positional argument.*$/, '.');
    throw new UsageError(`${message} ${hint}`);
  }
}
