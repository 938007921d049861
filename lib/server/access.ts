/** Who may open a stream, and what may be done on it. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { fitsHeader } from '../util/tls';
import { describeValue } from '../util/describe-value';

/** put; get: get, getMany, lease, loops; stats: qsize, empty, full, stats, join; shutdown. */
export const RIGHTS = ['put', 'get', 'stats', 'shutdown'] as const;
/** What a token may allow: one of {@link RIGHTS}. */
export type Right = (typeof RIGHTS)[number];

/** A token that a server takes, and what it may do with which queues. */
export interface TokenRights {
  /** What a client shows; it is compared in constant time and never repeated. */
  token: string;
  /** Ids of queues, where * stands for anything. Default: all that are served. */
  queues?: readonly string[];
  /** Default: all. */
  rights?: readonly Right[];
}

/** What one stream may do. */
export interface Grant {
  readonly digest: Buffer | undefined;
  mayOpen(queueId: string): boolean;
  may(right: Right): boolean;
}

const EVERYTHING: Grant = { digest: undefined, mayOpen: () => true, may: () => true };

export class Access {
  private readonly grants: readonly (Grant & { digest: Buffer })[];

  /** @param tokens undefined: no token is asked for. @throws TypeError, which repeats no token */
  constructor(private readonly tokens: readonly TokenRights[] | undefined) {
    if (tokens !== undefined && !Array.isArray(tokens))
      throw new TypeError(`tokens must be an array of { token, queues, rights }, found ${describeValue(tokens)}`);
    this.grants = (tokens ?? []).map((one: TokenRights, index) => grantOf(one, index));
    for (const [index, { digest }] of this.grants.entries()) {
      const first = this.grants.findIndex((grant) => grant.digest.equals(digest));
      if (first < index)
        throw new TypeError(`token ${index + 1} is the same as token ${first + 1}: one entry says what it may do`);
    }
  }

  /** Undefined: the token is missing or wrong. Takes as long for one as for another. */
  grant(header: unknown): Grant | undefined {
    if (this.tokens === undefined) return EVERYTHING;
    const given = digest(typeof header === 'string' && header.startsWith('Bearer ') ? header.slice(7) : '');
    let found: Grant | undefined;
    for (const grant of this.grants) if (timingSafeEqual(given, grant.digest)) found = grant;
    return found;
  }

  /**
   * What a stream that began under other rules may do under these; undefined: it may not go on, since its token is gone or may do something
   * else now. @param queueId that it has open, if any: one that has none yet may do what its token may now
   */
  renewed(grant: Grant, queueId: string | undefined): Grant | undefined {
    if (this.tokens === undefined) return EVERYTHING;
    const now = this.grants.find((one) => grant.digest !== undefined && timingSafeEqual(one.digest, grant.digest));
    if (now === undefined || queueId === undefined) return now;
    return now.mayOpen(queueId) && RIGHTS.every((right) => now.may(right) === grant.may(right)) ? now : undefined;
  }
}

function grantOf({ token, queues, rights }: TokenRights, index: number): Grant & { digest: Buffer } {
  // An unset variable of the environment must not open the server to everybody.
  if (typeof token !== 'string' || token === '')
    throw new TypeError(
      `token ${index + 1} must be a string that is not empty, found ${token === '' ? 'an empty one' : typeof token}. Leave it out for none`,
    );
  if (!fitsHeader(token))
    throw new TypeError(
      `token ${index + 1} must be printable ASCII without spaces at its ends, since it travels in a header. Was a line break read along with it?`,
    );
  for (const right of rights ?? [])
    if (!RIGHTS.includes(right))
      throw new TypeError(`token ${index + 1} has the right ${describeValue(right)}; there are ${RIGHTS.join(', ')}`);
  const patterns = queues?.map((glob) => new RegExp(`^${glob.split('*').map(escaped).join('.*')}$`, 's'));
  return {
    digest: digest(token),
    mayOpen: (queueId) => patterns === undefined || patterns.some((pattern) => pattern.test(queueId)),
    may: (right) => rights === undefined || rights.includes(right),
  };
}

const escaped = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');

/** Digests have one length, so that comparing them tells nothing about the token's. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
