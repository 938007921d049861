/** What a history is found to be. */
export interface Verdict {
  /** One line for each rule that was broken, and by what. */
  problems: string[];
  acknowledged: number;
  received: number;
  inHand: number;
}

/** Takes records one by one; FROM and TO are numbers within the stream, TO not included. */
export class History {
  put(stream: string, from: number, to: number): void;
  ack(stream: string, from: number, to: number): void;
  got(receiver: string, stream: string, from: number, to: number): void;
  again(receiver: string, stream: string, from: number, to: number): void;
  /** The numbers one by one, in the order in which the receiver had them. */
  gotEach(receiver: string, stream: string, numbers: Iterable<number>): void;
  hand(stream: string, from: number, to: number): void;
  held(stream: string, from: number, to: number): void;
  allow(rule: 'loss' | 'double', count: number): void;
  left(stream: string, from: number, to: number): void;
  most(what: string, found: number, limit: number): void;
  result(): Verdict;
}

/** @throws Error for a line that is no record */
export function checkHistory(lines: readonly string[]): Verdict;
