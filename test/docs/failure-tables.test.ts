/** What goes wrong → which error → within what time: every row of the tables in docs/rpc.md and docs/ray.md is held by tests, named here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as sage from '../../lib';

const ROOT = join(__dirname, '../..');

/** Of each row: the tests that hold it, by file and the beginning of their names. */
type HeldBy = { [what: string]: readonly (readonly [file: string, title: string])[] };

const RPC: HeldBy = {
  'nothing listens, the call does not wait (`block: false`)': [
    ['rpc/errors', 'server down: a call that does not wait'],
  ],
  'nothing listens, the call has a timeout': [['rpc/errors', 'server down: within the timeout']],
  'nothing listens, the call has none': [['rpc/killed-server', 'calls that time out meanwhile']],
  'the server does not answer `qsize`, `stats`, `shutdown`, `ack`, `block: false`': [
    ['rpc/silent-server', 'a server that is silent: %s'],
    ['rpc/silent-server', 'a server that is silent: ack()'],
  ],
  'what listens does not speak gRPC, or offers no such service': [
    ['rpc/errors', 'wrong port: something that does not speak gRPC'],
    ['rpc/errors', 'wrong port: a gRPC server without our service'],
  ],
  'a wrong or missing token; a queue the token may not use; a right it lacks': [
    ['rpc/errors', 'wrong or missing token'],
    ['rpc/tokens', 'a queue that is not the token’s'],
    ['rpc/tokens', 'a call without its right'],
  ],
  'a token that was revoked while its stream was open': [['rpc/tokens', 'reload: a revoked token']],
  'an unknown queue; one that exists (`exclusive`); another `maxsize`': [
    ['rpc/errors', 'unknown queue id'],
    ['rpc/errors', 'exclusive creation of a queue'],
  ],
  'a client certificate of another authority, an expired one, or none where one is asked for': [
    ['rpc/tls', 'what another attempt would not cure'],
  ],
  'plain text to a server in TLS, and the reverse': [
    ['rpc/tls', 'a client in plain text, and a server in plain text'],
    ['rpc/tls', 'what another attempt would not cure'],
  ],
  'what is no host': [['rpc/addresses', "'%s' is no host"]],
  'an item over `maxMessageBytes`': [['rpc/limits', 'an item over the limit is ItemTooLargeError']],
  'a put that breaks its stream again and again': [['rpc/no-storm', 'an item that something on the way']],
  'the connection breaks after a put with a timeout was sent': [
    ['rpc/remembered-puts', 'a timeout while a sent put waits'],
  ],
  'the connection breaks while an item is on lease': [['rpc/lease', 'a lease is lost with its connection']],
  'the server stops': [['rpc/stop', 'waiting calls get a clear error']],
  'a stream of another client never says `open`': [['rpc/silent-server', 'a stream that never says open']],
};

const BOUNDS = 'ray/bounds';
const RAY: HeldBy = {
  'no address, or one that is not `ray://…`': [['ray-cluster/errors', 'an address that is none']],
  'nothing listens; another service': [
    ['ray-cluster/errors', 'no cluster: nothing listens there'],
    ['ray-cluster/errors', 'wrong port: a web server'],
    ['ray-cluster/errors', 'wrong port: another service'],
  ],
  'what listens does not answer': [['ray-cluster/errors', 'an address that answers nothing']],
  'a token missing or wrong': [['ray-cluster/errors', 'wrong token']],
  'TLS on one side only, or an authority unknown to the other': [
    ['ray-secured/secured', 'without TLS'],
    ['ray-secured/secured', 'without a certificate'],
    ['ray-secured/secured', 'with an authority'],
  ],
  'Ray older than 2.10': [['ray-cluster/errors', 'Ray too old']],
  'no such actor, and it is not to be made': [
    ['ray-cluster/errors', 'wrong namespace: says where'],
    ['ray-cluster/errors', 'an actor that is not to be made'],
  ],
  'the queue exists (`exclusive`); it has another `maxsize`': [['ray-cluster/errors', 'create: exclusive and never']],
  "the actor's class lacks put, get, empty or qsize": [['ray-cluster/errors', 'a Python class without the methods']],
  'Ray finds no place for the actor (more CPUs than there are)': [
    [BOUNDS, 'an actor that Ray does not schedule'],
    ['ray-cluster/bounds', 'an actor that asks for more CPUs'],
  ],
  'the actor is busy, and a put was sent': [
    [BOUNDS, 'a put that was sent has an unknown outcome'],
    ['ray-cluster/bounds', 'a busy actor with one thread'],
  ],
  'the actor is busy, and the put stood behind another': [[BOUNDS, 'a put that was sent has an unknown outcome']],
  'the actor is busy: get, qsize, stats, shutdown, join': [
    [BOUNDS, 'an actor that Ray does not schedule'],
    [BOUNDS, 'a get says that it does not know'],
  ],
  'the actor is busy: `ack()` of a lease': [[BOUNDS, 'an acknowledgement and close']],
  'the connection is cut, the call has a timeout': [
    [BOUNDS, 'a connection that is cut'],
    [BOUNDS, 'a put that was under way has an unknown outcome'],
    ['ray-cluster/bounds', 'a link that is cut for 20 s'],
  ],
  'the connection is cut, the call has none': [['ray-cluster/faults', 'an outage longer than the patience']],
  'the session is lost and the outcome cannot be known': [[BOUNDS, 'a call whose session is lost']],
  'the actor died, or the head was started anew': [
    [BOUNDS, 'each handle is told once, then attaches anew'],
    ['ray-cluster/faults', 'the actor is killed'],
    ['ray-cluster/bounds', 'the head is started anew'],
  ],
  "an actor of somebody else's restarts": [
    [BOUNDS, "somebody else's: the error says so"],
    ['ray-cluster/bounds', 'an actor that restarts is not called dead'],
  ],
  'Python raised something else': [[BOUNDS, 'an exception in Python is told']],
  'the item is nothing for Python; it is over 256 MiB': [
    ['ray-cluster/errors', 'what Python cannot hold is refused'],
    [BOUNDS, 'an item over 256 MiB'],
  ],
};

/** The rows of the table that begins with `| what `, behind the heading. */
function rowsOf(page: string): { what: string; error: string; within: string }[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8');
  const table = /\n## What goes wrong\n[\s\S]*?\n(\| what [\s\S]*?)\n\n/.exec(text)![1]!;
  return table
    .split('\n')
    .slice(2)
    .map((line) => {
      const [what, error, within] = line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim());
      return { what: what!, error: error!, within: within! };
    });
}

/** The test or group of that name, up to the next one of its level. */
function bodyOf(file: string, title: string): string | undefined {
  const text = readFileSync(join(ROOT, 'test', `${file}.test.ts`), 'utf8');
  const at = text.search(new RegExp(`['"\`]${title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`));
  if (at === -1) return undefined;
  const isInGroup = /\n {2}test/.test(text.slice(text.lastIndexOf('\n', at), at));
  const end = text.slice(at).search(isInGroup ? /\n {0,2}(?:test|describe)\b/ : /\n(?:test|describe)\b/);
  return text.slice(at, end === -1 ? undefined : at + end);
}

/** Each error that the row names, by any of the ways in which a test can ask for it. */
function waysOf(error: string): string[][] {
  return [...error.matchAll(/`(\w+Error)`/g)].map(([, name]) => {
    const Class = (sage as unknown as Record<string, new (...args: never[]) => { code: string }>)[name!];
    const code = Class === undefined ? [] : [new Class(...([''] as never[])).code];
    return [name!, ...code];
  });
}

describe.each([
  ['rpc.md', RPC],
  ['ray.md', RAY],
])('docs/%s', (page, heldBy) => {
  const rows = rowsOf(page);

  test('names what the tests hold, and nothing else', () => {
    expect(rows.map(({ what }) => what).sort()).toEqual(Object.keys(heldBy).sort());
  });

  test.each(rows.map((row) => [row.what, row] as const))('%s', (what, row) => {
    const bodies = (heldBy[what] ?? []).map(([file, title]) => {
      const body = bodyOf(file, title);
      if (body === undefined) throw new Error(`test/${file}.test.ts has no test named '${title}…'.`);
      return body;
    });
    expect(bodies).not.toHaveLength(0);
    const text = bodies.join('\n');
    for (const ways of waysOf(row.error)) expect(ways.filter((way) => text.includes(way))).not.toHaveLength(0);
    if (row.error.includes("outcome: 'unknown'")) expect(text).toMatch(/outcome.*unknown/);
    expect(row.within).not.toBe('');
  });
});
