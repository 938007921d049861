/** Tokens and certificates on the command line: from files and the environment, never in a descriptor, which others may read. */
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { QueueDescriptor } from '../descriptor/descriptor';
import type { ResolveOptions } from '../queue/types';
import type { Right, TokenRights } from '../rpc';
import { UsageError } from './command';
import type { Arguments, Options } from './command';

export const credentialOptions: Options = {
  'token-file': { type: 'string' },
  'tls-ca': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
};

export const CREDENTIALS_HELP = `For rpc:// queues also:
  --token-file F       the token of the server is in this file (or in $SAGE_QUEUE_TOKEN)
  --tls-ca F           use TLS, and trust what this PEM file has signed; beyond loopback TLS is used anyway
  --tls-cert F         certificate and key of this client, PEM files
  --tls-key F`;

/** What is sent to the server of this queue. @throws UsageError for a file that cannot be used, and where no server is asked. */
export function credentialsOf(args: Arguments, { queueType }: QueueDescriptor): ResolveOptions['credentials'] {
  if (queueType !== 'rpc' && queueType !== 'auto') {
    const option = Object.keys(credentialOptions).find((name) => args.text(name) !== undefined);
    if (option !== undefined) throw new UsageError(`--${option} is for rpc:// queues.`);
    return undefined;
  }
  return { token: readToken(args), ca: readPem(args, 'tls-ca'), ...readKeyPair(args) };
}

/** @throws UsageError */
export function readToken(args: Arguments): string | undefined {
  const file = args.text('token-file');
  const token = (file === undefined ? process.env.SAGE_QUEUE_TOKEN : readOption('token-file', file))?.trim();
  if (token === '') throw new UsageError(`The token in ${file ?? '$SAGE_QUEUE_TOKEN'} is empty.`);
  return token;
}

/** Those of --tokens, one in each line. @throws UsageError, which repeats no token */
export function readTokens(args: Arguments): TokenRights[] | undefined {
  const file = args.text('tokens');
  if (file === undefined) return undefined;
  if (args.text('token-file') !== undefined) throw new UsageError('--tokens and --token-file do not go together.');
  const text = readOption('tokens', file);
  if ((statSync(file).mode & 0o077) !== 0)
    throw new UsageError(`--tokens: ${file} may be read by others than its owner. Type: chmod 600 ${file}`);
  const tokens: TokenRights[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const [token, queues, rights, ...more] = line.trim().split(/\s+/);
    if (!token || token.startsWith('#')) continue;
    if (more.length > 0) throw new UsageError(`--tokens: line ${index + 1} of ${file} is not TOKEN [QUEUES [RIGHTS]].`);
    tokens.push({ token, queues: queues?.split(','), rights: rights?.split(',') as Right[] | undefined });
  }
  if (tokens.length === 0) throw new UsageError(`--tokens: ${file} holds no token.`);
  return tokens;
}

/** @throws UsageError that names the files. */
export function readKeyPair(args: Arguments): { cert: string; key: string } | undefined {
  if ((args.text('tls-cert') === undefined) !== (args.text('tls-key') === undefined))
    throw new UsageError('--tls-cert and --tls-key go together.');
  const cert = readPem(args, 'tls-cert');
  const key = readPem(args, 'tls-key');
  if (cert === undefined || key === undefined) return undefined;
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new UsageError(
      `--tls-cert ${args.text('tls-cert')} and --tls-key ${args.text('tls-key')} cannot be used: ${(error as Error).message}.`,
    );
  }
  return { cert, key };
}

/** The text of the file that the option names. @throws UsageError */
export function readPem(args: Arguments, option: string): string | undefined {
  const file = args.text(option);
  if (file === undefined) return undefined;
  const text = readOption(option, file);
  if (text.includes('-----BEGIN')) return text;
  throw new UsageError(`--${option}: ${file} is no PEM file: it has no line '-----BEGIN …'.`);
}

function readOption(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--${option}: ${file} cannot be read: ${(error as Error).message}.`);
  }
}
