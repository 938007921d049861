/** docs/api.md names everything that the package exports, every code, and every method of a queue. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as sage from '../../lib';
import * as ray from '../../lib/ray';
import * as metrics from '../../lib/metrics';
import * as rpc from '../../lib/rpc';
import * as testing from '../../lib/testing';
import * as work from '../../lib/work';

const LIB = join(__dirname, '../../lib');
const page = readFileSync(join(__dirname, '../../docs/api.md'), 'utf8');
const named = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(page);
const textOf = (file: string): string => readFileSync(join(LIB, file), 'utf8');

test('every export', () => {
  const own = ['RayClient', 'RayActorQueue', 'RayQueue'];
  expect(own.every((name) => name in ray)).toBe(true);
  const exported = [
    ...Object.keys(sage),
    ...Object.keys(rpc),
    ...Object.keys(testing),
    ...Object.keys(work),
    ...Object.keys(metrics),
    ...own,
  ];
  expect(exported.filter((name) => !named(name))).toEqual([]);
});

test('every code', () => {
  const codes = `${textOf('errors.ts')}${textOf('transports/shm/addon.ts')}`.match(/\bERR_[A-Z]+(?:_[A-Z]+)+/g)!;
  expect([...new Set(codes)].filter((code) => !named(code))).toEqual([]);
});

test('every option and every method of a queue', () => {
  const members = `${textOf('descriptor/options.ts')}${textOf('queue/types.ts')}`.matchAll(
    /^ {2}(?:readonly )?(\w+)\??[:(]/gm,
  );
  const names = [...new Set([...members].map(([, name]) => name!))].filter((name) => name !== 'descriptor');
  expect(names.length).toBeGreaterThan(50);
  expect(names.filter((name) => !named(name))).toEqual([]);
});
