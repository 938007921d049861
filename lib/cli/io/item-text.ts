/** How an item looks on stdout. */
import { stringifyJson, Verbatim } from '../../util/json-text';

/** `lines`: bytes as they are, text as a line, the rest as a line of JSON. `json`: everything as a line of JSON. `raw`: text without its newline too. */
export type ItemFormat = 'lines' | 'json' | 'raw';

/** JSON has no bytes (here base64), maps (objects where the keys are text, else pairs) or sets (arrays). */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return new Verbatim(String(value));
  if (value instanceof Map) {
    const entries = [...value.entries()];
    return entries.every(([key]) => typeof key === 'string') ? Object.fromEntries(entries) : entries;
  }
  if (value instanceof Set) return [...value];
  if (ArrayBuffer.isView(value) && !(value instanceof Uint8Array) && !(value instanceof DataView)) {
    return Array.from(value as unknown as ArrayLike<number | bigint>);
  }
  return value;
}

function json(item: unknown): string {
  return stringifyJson(bytesAsBase64(item), (_key, value) => plain(value)) ?? 'null';
}

/** Before JSON.stringify: a Buffer brings a toJSON of its own, which would be taken first. */
function bytesAsBase64(value: unknown): unknown {
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  if (Array.isArray(value)) return value.map(bytesAsBase64);
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, bytesAsBase64(entry)]));
  if (value instanceof Set) return new Set([...value].map(bytesAsBase64));
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, bytesAsBase64(entry)]));
  }
  return value;
}

export function itemBytes(item: unknown, format: ItemFormat): Uint8Array {
  if (format === 'json') return Buffer.from(`${json(item)}\n`);
  if (item instanceof Uint8Array) return item;
  const text = typeof item === 'string' ? item : json(item);
  return Buffer.from(format === 'raw' ? text : `${text}\n`);
}
