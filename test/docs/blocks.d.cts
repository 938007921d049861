export interface Block {
  readonly page: string;
  /** Of the line behind the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** What stands behind the language: words that say what the tests do with it. */
  readonly words: readonly string[];
  readonly code: string;
}
export function blocksIn(page: string, text: string): Block[];
export function withoutBlocks(text: string): string;
