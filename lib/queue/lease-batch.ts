/** The one shape of a batch on loan: which of its items are still open is known here, what ending them means is their queue's to say. */
import { asyncDispose } from '../util/dispose';
import type { Awaitable, Lease, LeaseBatch } from './types';

/** Items on loan together, as their queue keeps them. */
export interface HeldItems {
  /** Ends the loans from … to - 1, all of them open until now; the items that go back come again in the order they had. */
  end(from: number, to: number, acknowledge: boolean): Awaitable<void>;
  deliveries(index: number): number;
  crashes(index: number): number;
}

export class HeldBatch<T> implements LeaseBatch<T> {
  private readonly ended: Uint8Array;
  private made: readonly Lease<T>[] | undefined;

  constructor(
    readonly items: readonly T[],
    private readonly held: HeldItems,
  ) {
    this.ended = new Uint8Array(items.length);
  }

  get leases(): readonly Lease<T>[] {
    this.made ??= this.items.map((item, index) => this.leaseOf(item, index));
    return this.made;
  }

  ack(): Promise<void> {
    return this.endOpen(true);
  }

  release(): Promise<void> {
    return this.endOpen(false);
  }

  [asyncDispose](): Promise<void> {
    return this.endOpen(false);
  }

  private leaseOf(item: T, index: number): Lease<T> {
    const release = (): Promise<void> => this.endRange(index, index + 1, false);
    return {
      item,
      deliveries: this.held.deliveries(index),
      crashes: this.held.crashes(index),
      ack: () => this.endRange(index, index + 1, true),
      release,
      [asyncDispose]: release,
    };
  }

  /** In as few calls as there are stretches of open ones; backwards, so that what goes back last comes first. */
  private async endOpen(acknowledge: boolean): Promise<void> {
    let to = this.items.length;
    while (to > 0) {
      const last = this.ended.lastIndexOf(0, to - 1);
      if (last === -1) return;
      const from = this.ended.lastIndexOf(1, last) + 1;
      await this.endRange(from, last + 1, acknowledge);
      to = from;
    }
  }

  private async endRange(from: number, to: number, acknowledge: boolean): Promise<void> {
    if (this.ended[from] === 1) return;
    this.ended.fill(1, from, to);
    await this.held.end(from, to, acknowledge);
  }
}

/** A batch of leases that were taken one by one. */
export const batchOf = <T>(leases: readonly Lease<T>[]): LeaseBatch<T> =>
  new HeldBatch(
    leases.map(({ item }) => item),
    {
      end: async (from, to, acknowledge) => {
        const settled = leases.slice(from, to);
        if (acknowledge) await Promise.all(settled.map((lease) => lease.ack()));
        else for (const lease of settled.reverse()) await lease.release();
      },
      deliveries: (index) => leases[index]!.deliveries,
      crashes: (index) => leases[index]!.crashes,
    },
  );
