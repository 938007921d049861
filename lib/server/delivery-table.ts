/** The loans of one stream by tag, kept as the runs in which they were delivered: most are settled as such. */
import type { Loans } from './served-queue';

interface Run {
  first: number;
  loans: Loans;
  open: number;
  /** Once a part was settled: which ones were. */
  settled: Uint8Array | undefined;
}

/** Loans of one run, from … to - 1. */
export interface LoanRange {
  loans: Loans;
  from: number;
  to: number;
}

export class LoanBook {
  /** Loans that are not settled. */
  size = 0;
  private readonly runs: Run[] = [];

  add(first: number, loans: Loans): void {
    this.runs.push({ first, loans, open: loans.items.count, settled: undefined });
    this.size += loans.items.count;
  }

  /** Those with the tags first … first + count - 1, or undefined when one of them is not on loan. */
  take(first: number, count: number): LoanRange | undefined {
    const index = this.runs.findIndex((run) => run.first <= first && first < run.first + run.loans.items.count);
    const run = this.runs[index];
    if (run === undefined || count < 1 || first + count > run.first + run.loans.items.count) return undefined;
    const from = first - run.first;
    const to = from + count;
    if (run.settled?.subarray(from, to).includes(1)) return undefined;
    run.open -= count;
    this.size -= count;
    if (run.open === 0) this.runs.splice(index, 1);
    else (run.settled ??= new Uint8Array(run.loans.items.count)).fill(1, from, to);
    return { loans: run.loans, from, to };
  }

  /** All that are left, in the order of their tags. */
  takeAll(): LoanRange[] {
    this.size = 0;
    return this.runs.splice(0).flatMap(({ loans, settled }) => {
      const { count } = loans.items;
      if (settled === undefined) return [{ loans, from: 0, to: count }];
      const left: LoanRange[] = [];
      for (let index = 0; index < count; index++)
        if (settled[index] === 0) left.push({ loans, from: index, to: index + 1 });
      return left;
    });
  }
}
