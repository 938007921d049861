/** What a handle can be told to do, and how often each of it comes up. */
import * as fc from 'fast-check';

export type Operation =
  | { do: 'put'; handle: number; wait: boolean }
  | { do: 'get' | 'lease' | 'iterate'; handle: number; wait: boolean }
  | { do: 'putMany'; handle: number; wait: boolean; count: number; form: 'array' | 'iterable' | 'source' }
  | { do: 'getMany' | 'leaseMany'; handle: number; wait: boolean; max: number }
  | { do: 'ack' | 'release' | 'abort'; which: number }
  | { do: 'late'; handle: number; call: 'get' | 'getMany' | 'lease' | 'leaseMany' | 'put' | 'putMany' }
  | { do: 'close' | 'clone' | 'look' | 'readable' | 'writable' | 'peek'; handle: number }
  | { do: 'shutdown'; handle: number; immediate: boolean };

const handle = fc.nat(1);
const wait = fc.boolean();
export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constantFrom('put', 'get', 'lease'), handle, wait }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('iterate' as const), handle, wait }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('putMany' as const),
      handle,
      wait,
      count: fc.integer({ min: 1, max: 4 }),
      form: fc.constantFrom('array', 'iterable', 'source'),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('getMany', 'leaseMany'),
      handle,
      wait,
      max: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constantFrom('ack', 'release'), which: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('abort' as const), which: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('late' as const),
      handle,
      call: fc.constantFrom('get', 'getMany', 'lease', 'leaseMany', 'put', 'putMany'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('close', 'clone', 'look', 'readable', 'writable', 'peek'), handle }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('shutdown' as const), handle, immediate: fc.boolean() }) },
) as fc.Arbitrary<Operation>;
