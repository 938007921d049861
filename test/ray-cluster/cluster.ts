import { randomBytes } from 'node:crypto';

/** Of the cluster that `npm run test:ray` started. */
export function rayAddress(): string {
  const address = process.env.RAY_ADDRESS;
  if (address === undefined) throw new Error('No cluster: run these suites with `npm run test:ray`.');
  return address;
}

export const freshName = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`;
