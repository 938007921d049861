/** The picture that `top` shows: a summary, then a line for each queue, as wide as there is room. */
import { alive, limitOf, stateOf } from '../commands/ls';
import { coloured } from '../io/colour';
import type { Colour } from '../io/colour';
import { COLUMN_GAP, bytes, compact, count } from '../io/table';
import type { QueueRow, Sort } from './sample';

/** Characters of a name that are shown, however narrow the terminal. */
const LEAST_NAME = 20;

interface Column {
  readonly heading: string;
  readonly left?: boolean;
  /** The narrower the terminal, the fewer of the higher ones are shown. */
  readonly rank: number;
  cell(row: QueueRow): string;
}

const rate = (value: number | undefined): string => (value === undefined ? '-' : compact(value));

const COLUMNS: readonly Column[] = [
  { heading: 'QUEUE', left: true, rank: 0, cell: ({ uri }) => uri },
  { heading: 'ITEMS', rank: 1, cell: ({ segment, stats }) => compact(stats?.qsize ?? segment.qsize) },
  { heading: 'FULL', rank: 3, cell: ({ full }) => (full === undefined ? '-' : `${Math.floor(full * 100)}%`) },
  { heading: 'LEASED', rank: 5, cell: ({ stats }) => (stats?.leased === undefined ? '-' : compact(stats.leased)) },
  {
    heading: 'WAITING',
    rank: 6,
    cell: ({ stats }) => (stats === undefined ? '-' : `${stats.waitingGetters ?? 0}/${stats.waitingPutters ?? 0}`),
  },
  { heading: 'PUT/S', rank: 2, cell: ({ rates }) => rate(rates?.put) },
  { heading: 'GET/S', rank: 2, cell: ({ rates }) => rate(rates?.get) },
  { heading: 'BYTES/S', rank: 7, cell: ({ rates }) => (rates === undefined ? '-' : bytes(rates.bytes)) },
  { heading: 'MAXSIZE', rank: 9, cell: ({ segment }) => limitOf(segment.maxsize) },
  { heading: 'ATTACHED', rank: 10, cell: ({ segment }) => String(alive(segment)) },
  { heading: 'STATE', left: true, rank: 8, cell: ({ segment }) => stateOf(segment) },
];

/** Of a row; what needs somebody stands out. */
function colourOf({ full, segment, stats, rates }: QueueRow): Colour | undefined {
  if ((stats?.waitingPutters ?? 0) > 0) return 'red';
  if (full !== undefined && full >= 0.9) return 'yellow';
  const isIdle = segment.shutDown || alive(segment) === 0 || (rates !== undefined && rates.put + rates.get === 0);
  return isIdle ? 'dim' : undefined;
}

export interface Frame {
  /** Infinity: all columns and rows, names in full. */
  readonly columns: number;
  readonly rows: number;
  readonly colours: boolean;
}

const width = (cells: readonly string[]): number => Math.max(...cells.map((cell) => cell.length));

/** Columns that fit beside the least of a name, the most important ones first; in the order they stand. */
function fitting(rows: readonly QueueRow[], columns: number): { column: Column; cells: string[] }[] {
  const all = COLUMNS.map((column) => ({ column, cells: [column.heading, ...rows.map((row) => column.cell(row))] }));
  let room = columns - LEAST_NAME;
  const kept = [...all.slice(1)]
    .sort((a, b) => a.column.rank - b.column.rank)
    .filter(({ cells }) => (room -= width(cells) + COLUMN_GAP) >= 0);
  return all.filter((entry) => entry === all[0] || kept.includes(entry));
}

function summary(rows: readonly QueueRow[], sort: Sort, columns: number): string {
  const sum = (value: (row: QueueRow) => number | undefined): number =>
    rows.reduce((total, row) => total + (value(row) ?? 0), 0);
  const parts = [
    `${count(rows.length)} queue${rows.length === 1 ? '' : 's'}`,
    `${compact(sum(({ segment, stats }) => stats?.qsize ?? segment.qsize))} items`,
    `${compact(sum(({ stats }) => stats?.leased))} leased`,
    `${compact(sum(({ rates }) => rates?.put))} put/s`,
    `${compact(sum(({ rates }) => rates?.get))} get/s`,
    `${bytes(sum(({ rates }) => rates?.bytes))}/s`,
    `${bytes(sum(({ segment }) => segment.bytes))} of memory`,
    `by ${sort}`,
  ];
  while (parts.length > 1 && parts.join(', ').length > columns) parts.splice(parts.length - 2, 1);
  return parts.join(', ').slice(0, columns);
}

/** Names of one family differ at their end more than at their start. */
function shortened(name: string, size: number): string {
  if (name.length <= size) return name;
  const head = Math.floor((size - 1) / 3);
  return `${name.slice(0, head)}…${name.slice(head + 1 - size)}`;
}

/** Lines without their ends. */
export function picture(rows: readonly QueueRow[], sort: Sort, frame: Frame): string[] {
  const paint = (text: string, colour: Colour | undefined): string => (frame.colours ? coloured(text, colour) : text);
  // One line for the summary, one for the headings, and the one below the last is the cursor's.
  const places = Math.max(1, frame.rows - 3);
  const shown = rows.length <= places ? rows : rows.slice(0, places - 1);
  const columns = fitting(shown, frame.columns);
  const others = columns.slice(1).reduce((total, { cells }) => total + width(cells) + COLUMN_GAP, 0);
  const nameWidth = Math.max(LEAST_NAME, Math.min(width(columns[0]!.cells), frame.columns - others));
  const line = (index: number): string =>
    columns
      .map(({ column, cells }, at) => {
        const size = at === 0 ? nameWidth : width(cells);
        const cell = cells[index]!;
        return column.left ? shortened(cell, size).padEnd(size) : cell.padStart(size);
      })
      .join(' '.repeat(COLUMN_GAP))
      .trimEnd();
  return [
    paint(summary(rows, sort, frame.columns), 'bold'),
    paint(line(0), 'bold'),
    ...shown.map((row, index) => paint(line(index + 1), colourOf(row))),
    ...(shown.length < rows.length ? [`… ${count(rows.length - shown.length)} more`] : []),
  ];
}
