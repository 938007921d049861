/** What values of a schema take, as far as the schema alone tells. */
import type { Node, ScalarSchema } from '../../descriptor/schema';
import { SHORT_TEXT } from './write-fields';

const FIXED: Partial<Record<ScalarSchema, number>> = {
  ...{ bool: 1, i8: 1, u8: 1, i16: 2, u16: 2, i32: 4, u32: 4, i64: 8, u64: 8 },
  ...{ int: 8, f32: 4, f64: 8, date: 8 },
};

/** Bytes of a value that always takes as many; undefined for others. */
export const fixedBytes = (node: Node): number | undefined =>
  node.kind === 'list' || node.kind === 'record' ? undefined : FIXED[node.kind];

/** The least that a value takes. */
export function leastBytes(node: Node): number {
  if (node.kind !== 'record') return fixedBytes(node) ?? (node.kind === 'any' ? 5 : 4);
  return node.required.reduce((sum, field) => sum + leastBytes(field.node), 1);
}

/** Room to make before a value is written: enough where its texts are short. Lists, bytes and what is of any kind make their own. */
export function usualBytes(node: Node): number {
  if (node.kind === 'string') return 4 + SHORT_TEXT;
  if (node.kind !== 'record') return leastBytes(node);
  const required = node.required.reduce((sum, field) => sum + usualBytes(field.node), 1);
  return node.optional.reduce((sum, field) => sum + 8 + usualBytes(field.node), required);
}
