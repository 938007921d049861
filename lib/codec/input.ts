/** What is being read. The bytes may come from anyone: every length is checked before it is used. */

export interface Input {
  bytes: Buffer;
  /** Over the memory of `viewed`. */
  view: DataView;
  viewed: Buffer;
  position: number;
  end: number;
}

const NOTHING = Buffer.alloc(0);
const NO_VIEW = new DataView(NOTHING.buffer);
/** Memory up to here stays until the next item comes, which is likely to lie in it too. */
const KEEP_BYTES = 4 * 1024 * 1024;

/** The one of this thread. */
export const input: Input = { bytes: NOTHING, view: NO_VIEW, viewed: NOTHING, position: 0, end: 0 };

/** Goes on at `position`, in other bytes perhaps. */
export function readFrom(bytes: Buffer, position: number, end: number): void {
  input.bytes = bytes;
  input.position = position;
  input.end = end;
}

/** After this the view is that of the bytes. */
export function useView(): void {
  const { bytes } = input;
  if (input.viewed === bytes) return;
  input.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  input.viewed = bytes;
}

/** Large memory is the collector's again. */
export function letGo(): void {
  if (input.bytes.length <= KEEP_BYTES) return;
  input.bytes = input.viewed = NOTHING;
  input.view = NO_VIEW;
}

export function truncated(): Error {
  return new Error('the bytes end in the middle of a value');
}

/** Moves past `length` bytes that must be there. Returns where they begin. */
export function take(length: number): number {
  const from = input.position;
  if (length > input.end - from) throw truncated();
  input.position = from + length;
  return from;
}
