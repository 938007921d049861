/** Cuts a stream of bytes into items: text lines, JSON lines or frames of equal length. */
import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { parseJson } from '../../util/json-text';

/** Items that came in one piece of input, in order. */
export interface Batch {
  readonly items: unknown[];
  /** `line 17`, for the item at this place of the batch. */
  where(index: number): string;
  /** What is wrong with the input right behind these items. */
  readonly failure?: Error;
}

/** Turns one line, without its newline, into an item; undefined for a line that is none. @throws Error that says what is wrong. */
type ReadLine = (line: Buffer, number: number) => { item: unknown } | undefined;

const NEWLINE = 0x0a;

const textLine: ReadLine = (line) => {
  if (!isUtf8(line)) throw new Error('is not UTF-8 text; put bytes with --raw --frame-bytes N');
  return { item: line.toString('utf8') };
};

const jsonLine: ReadLine = (line, number) => {
  if (!isUtf8(line)) throw new Error('is not UTF-8 text');
  let text = line.toString('utf8');
  if (number === 1 && text.startsWith('\ufeff')) text = text.slice(1);
  if (text.trim() === '') return undefined;
  try {
    return { item: parseJson(text) };
  } catch (error) {
    const { message } = error as Error;
    throw new Error(
      error instanceof RangeError ? `holds a number that would change: ${message}` : `is not JSON: ${message}`,
    );
  }
};

/** A string for each line; a last line without a newline counts. */
export const textLines = (input: Readable): AsyncGenerator<Batch> => lines(input, textLine);

/** A value for each line of JSON; blank lines are skipped. */
export const jsonLines = (input: Readable): AsyncGenerator<Batch> => lines(input, jsonLine);

async function* lines(input: Readable, read: ReadLine): AsyncGenerator<Batch> {
  let pending: Buffer[] = [];
  let number = 0;
  const cut = (piece: Buffer, last: boolean): Batch => {
    const items: unknown[] = [];
    const numbers: number[] = [];
    let failure: Error | undefined;
    for (let start = 0; start < piece.length && failure === undefined;) {
      const newline = piece.indexOf(NEWLINE, start);
      const end = newline === -1 ? piece.length : newline;
      if (newline === -1 && !last) break;
      number++;
      try {
        const found = read(piece.subarray(start, end), number);
        if (found !== undefined) {
          items.push(found.item);
          numbers.push(number);
        }
      } catch (error) {
        failure = new Error(`line ${number} ${(error as Error).message}`);
      }
      start = end + 1;
    }
    return { items, where: (index) => `line ${numbers[index]}`, failure };
  };
  for await (const chunk of input as AsyncIterable<Buffer>) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      pending.push(chunk);
      continue;
    }
    const whole = chunk.subarray(0, end);
    yield cut(pending.length === 0 ? whole : Buffer.concat([...pending, whole]), false);
    pending = end === chunk.length ? [] : [chunk.subarray(end)];
  }
  if (pending.length > 0) yield cut(Buffer.concat(pending), true);
}

/** Buffers of `frameBytes` bytes; what is left at the end is a shorter one. */
export async function* frames(input: Readable, frameBytes: number): AsyncGenerator<Batch> {
  let pending: Buffer[] = [];
  let length = 0;
  let number = 0;
  const batchOf = (items: Buffer[]): Batch => {
    const first = number + 1;
    number += items.length;
    return { items, where: (index) => `frame ${first + index}` };
  };
  for await (const chunk of input as AsyncIterable<Buffer>) {
    pending.push(chunk);
    length += chunk.length;
    if (length < frameBytes) continue;
    const bytes = Buffer.concat(pending);
    const items: Buffer[] = [];
    let start = 0;
    for (; bytes.length - start >= frameBytes; start += frameBytes)
      items.push(bytes.subarray(start, start + frameBytes));
    yield batchOf(items);
    pending = start === bytes.length ? [] : [bytes.subarray(start)];
    length = bytes.length - start;
  }
  if (length > 0) yield batchOf([Buffer.concat(pending)]);
}
