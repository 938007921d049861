/**
 * Group-by: how many records, and of one field the sum, mean, least and greatest. Sums are exact integers, so that the order in which
 * parts come together does not matter, and two computations agree to the last digit or not at all.
 */
import type { DataRecord } from './records';

/** Sums are in millionths. */
const SCALE = 1e6;

interface Group {
  records: number;
  /** How many of them had a number. */
  values: number;
  sum: bigint;
  least: number;
  greatest: number;
}

/** What a worker sends for one batch: key, records, values, sum (in decimal), least, greatest; the last two are null without values: JSON has no Infinity. */
export type PartialGroup = [string, number, number, string, number | null, number | null];

/** One row of the result. */
export interface GroupRow {
  readonly key: string;
  readonly records: number;
  readonly values: number;
  readonly sum: number;
  readonly mean: number | null;
  readonly min: number | null;
  readonly max: number | null;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint' && (typeof value !== 'string' || value.trim() === ''))
    return undefined;
  const number = Number(value);
  return Number.isFinite(number * SCALE) ? number : undefined;
}

export class Aggregate {
  private readonly groups = new Map<string, Group>();
  records = 0;

  private group(key: string): Group {
    let group = this.groups.get(key);
    if (group === undefined) {
      group = { records: 0, values: 0, sum: 0n, least: Infinity, greatest: -Infinity };
      this.groups.set(key, group);
    }
    return group;
  }

  add(record: DataRecord, groupField: string, given: unknown): void {
    const group = this.group(String(record[groupField] ?? ''));
    group.records++;
    this.records++;
    const value = numberOf(given);
    if (value === undefined) return;
    group.values++;
    group.sum += BigInt(Math.round(value * SCALE));
    group.least = Math.min(group.least, value);
    group.greatest = Math.max(group.greatest, value);
  }

  addPartial(partial: readonly PartialGroup[]): void {
    for (const [key, records, values, sum, least, greatest] of partial) {
      const group = this.group(key);
      group.records += records;
      group.values += values;
      group.sum += BigInt(sum);
      group.least = Math.min(group.least, least ?? Infinity);
      group.greatest = Math.max(group.greatest, greatest ?? -Infinity);
      this.records += records;
    }
  }

  toPartial(): PartialGroup[] {
    return [...this.groups].map(([key, { records, values, sum, least, greatest }]) => [
      key,
      records,
      values,
      sum.toString(),
      values === 0 ? null : least,
      values === 0 ? null : greatest,
    ]);
  }

  /** The group with the most records first. */
  rows(): GroupRow[] {
    return [...this.groups]
      .map(([key, { records, values, sum, least, greatest }]) => ({
        key,
        records,
        values,
        sum: Number(sum) / SCALE,
        mean: values === 0 ? null : Number(sum) / SCALE / values,
        min: values === 0 ? null : least,
        max: values === 0 ? null : greatest,
      }))
      .sort((a, b) => b.records - a.records || (a.key < b.key ? -1 : 1));
  }

  /** Exactly: the sums are compared as integers. */
  equals(other: Aggregate): boolean {
    if (this.records !== other.records || this.groups.size !== other.groups.size) return false;
    for (const [key, group] of this.groups) {
      const theirs = other.groups.get(key);
      if (
        theirs === undefined ||
        theirs.records !== group.records ||
        theirs.values !== group.values ||
        theirs.sum !== group.sum ||
        theirs.least !== group.least ||
        theirs.greatest !== group.greatest
      ) {
        return false;
      }
    }
    return true;
  }
}
