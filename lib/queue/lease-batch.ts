/** A batch on lease, as programs see it. */
import { asyncDispose } from '../util/dispose';
import { told } from './held-lease';
import { LeaseRun } from './lease-table';
import type { LeaseEnd } from './lease-table';
import type { Lease, LeaseBatch } from './types';

export type { HeldItems } from './lease-table';

/** How a batch ends of which the program saw nothing. The property's name; no part of what programs see. */
export const leaseRun: unique symbol = Symbol('leaseRun');

/** Ends the leases from … to - 1 of a batch. An undo is a release where their queue knows no better. */
export function endLeases(batch: AnyBatch, from: number, to: number, how: LeaseEnd): Promise<void> {
  const run = batch[leaseRun];
  if (run === undefined) return endForeign(batch, from, to, how);
  // No answers to a program: whoever ends them so has turns of its own.
  return told(() => (how === 'undo' ? run.undo(from, to) : run.end(from, to, how === 'ack')), 0);
}

/** Those of a batch of somebody's own. */
async function endForeign(batch: LeaseBatch<unknown>, from: number, to: number, how: LeaseEnd): Promise<void> {
  if (from === 0 && to === batch.items.length) return how === 'ack' ? batch.ack() : batch.release();
  const leases = batch.leases.slice(from, to);
  if (how === 'ack') for (const lease of leases) await lease.ack();
  else for (const lease of leases) await lease.release();
}

type AnyBatch = LeaseBatch<unknown> & { readonly [leaseRun]?: LeaseRun };

/** Whether leases of this batch can end as if they had not been. */
export const canUndo = (batch: AnyBatch): boolean => batch[leaseRun]?.canUndo === true;

/** One item of a batch waits here for its turn, or (aside false) it has come: of the former a death is no delivery, where its queue knows of that. */
export const setAside = (batch: AnyBatch, index: number, aside: boolean): void =>
  batch[leaseRun]?.setAside(index, index + 1, aside);

export class HeldBatch<T> implements LeaseBatch<T> {
  private made: readonly Lease<T>[] | undefined;
  readonly [leaseRun]: LeaseRun;

  constructor(
    readonly items: readonly T[],
    run: LeaseRun,
  ) {
    this[leaseRun] = run;
  }

  get leases(): readonly Lease<T>[] {
    this.made ??= this.items.map((item, index) => this[leaseRun].lease(index, item));
    return this.made;
  }

  ack(): Promise<void> {
    return this.end(true);
  }

  release(): Promise<void> {
    return this.end(false);
  }

  [asyncDispose](): Promise<void> {
    return this.end(false);
  }

  private end(acknowledge: boolean): Promise<void> {
    const run = this[leaseRun];
    return told(() => run.end(0, this.items.length, acknowledge), run.open);
  }
}

/** A batch of leases that were taken one by one. */
export const batchOf = <T>(leases: readonly Lease<T>[]): LeaseBatch<T> =>
  new HeldBatch(
    leases.map(({ item }) => item),
    new LeaseRun(leases.length, {
      end: async (from, to, acknowledge) => {
        const settled = leases.slice(from, to);
        if (acknowledge) await Promise.all(settled.map((lease) => lease.ack()));
        else for (const lease of settled) await lease.release();
      },
      deliveries: (index) => leases[index]!.deliveries,
      crashes: (index) => leases[index]!.crashes,
    }),
  );
