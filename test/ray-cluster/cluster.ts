import { randomBytes } from 'node:crypto';
import type { RayClient } from '../../lib/transports/ray/client/ray-client';

/** Of the cluster that `npm run test:ray` started. */
export function rayAddress(): string {
  const address = process.env.RAY_ADDRESS;
  if (address === undefined) throw new Error('No cluster: run these suites with `npm run test:ray`.');
  return address;
}

export const freshName = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`;

/** For suites that are not about time: a Python process may take long to start on a busy machine. */
export const PATIENT = { answerTimeoutMs: 30_000 } as const;

/** An actor takes about 100 MB: none is left behind. */
export async function killActors(client: RayClient, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const actor = await client.getActor(name);
    if (actor !== undefined) await client.kill(actor);
  }
}
