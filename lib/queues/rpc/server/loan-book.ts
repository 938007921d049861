/** The loans of one stream by tag, kept as the runs in which they were delivered: most are settled as such. */
import type { Loan } from './served-queue';

interface Run {
  first: number;
  loans: (Loan | undefined)[];
  open: number;
}

export class LoanBook {
  /** Loans that are not settled. */
  size = 0;
  private readonly runs: Run[] = [];

  add(first: number, loans: Loan[]): void {
    this.runs.push({ first, loans, open: loans.length });
    this.size += loans.length;
  }

  /** Those with the tags first … first + count - 1, or undefined when one of them is not on loan. */
  take(first: number, count: number): Loan[] | undefined {
    const index = this.runs.findIndex((run) => run.first <= first && first < run.first + run.loans.length);
    const run = this.runs[index];
    if (run === undefined || count < 1 || first + count > run.first + run.loans.length) return undefined;
    const from = first - run.first;
    const taken = run.loans.slice(from, from + count);
    if (taken.includes(undefined)) return undefined;
    run.open -= count;
    this.size -= count;
    if (run.open === 0) this.runs.splice(index, 1);
    else run.loans.fill(undefined, from, from + count);
    return taken as Loan[];
  }

  /** All that are left, in the order of their tags. */
  takeAll(): Loan[] {
    this.size = 0;
    return this.runs.splice(0).flatMap((run) => run.loans.filter((loan) => loan !== undefined));
  }
}
