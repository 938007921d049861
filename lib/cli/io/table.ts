/** Tables and figures for people. */

/** Characters between two columns. */
export const COLUMN_GAP = 2;

/** Columns as wide as their widest cell; those whose heading is in `right` stand flush right. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[],
): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        right.includes(headings[column]!) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join(' '.repeat(COLUMN_GAP))
      .trimEnd();
  return [headings, ...rows].map((cells) => `${line(cells)}\n`).join('');
}

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
export const count = (value: number): string => grouped.format(value);

/** 9,999, 12.3k, 4.5M: at most five characters. */
export function compact(value: number): string {
  if (value < 10_000) return count(value);
  const units = ['', 'k', 'M', 'G', 'T'];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toFixed(value < 99.95 ? 1 : 0))}${units[unit]}`;
}

/** 64 KiB, 1.5 MiB. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(value < 10 && unit > 0 ? 1 : 0))} ${units[unit]}`;
}

/** 40s, 12m, 3h, 5d. */
export function age(seconds: number): string {
  if (!(seconds >= 0)) return '-';
  for (const [size, unit] of [
    [86400, 'd'],
    [3600, 'h'],
    [60, 'm'],
  ] as const) {
    if (seconds >= size) return `${Math.floor(seconds / size)}${unit}`;
  }
  return `${Math.floor(seconds)}s`;
}

/** Text from elsewhere (a name, a key of a data set) without the characters that would drive the terminal. */
export const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');

/** With the full stop that another sentence behind it wants. */
export const sentence = (text: string): string => (/[.!?…]$/.test(text) ? text : `${text}.`);
