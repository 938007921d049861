/** Items on lease out of shared memory, against an entry that lends what the test says: what is ended, how, and in how many crossings. */
import {
  EMPTY,
  MAX_BATCH,
  REGISTER_CODEC,
  REGISTER_CRASHES,
  REGISTER_DELIVERIES,
  REGISTER_LEASE_CRASHES,
  REGISTER_LEASE_DELIVERIES,
  REGISTER_LEASE_IDS,
  REGISTER_LENGTH,
  REGISTER_TABLE,
  SHUT,
} from '../../lib/transports/shm/addon';
import type { NativeEntry } from '../../lib/transports/shm/native-entry';
import type { Holder } from '../../lib/transports/shm/holder';
import type { AttachedQueue } from '../../lib/transports/shm/attachment';
import { GetCalls } from '../../lib/transports/shm/get-calls';
import { LeasedItems, lendEncoded } from '../../lib/transports/shm/leases';
import { ReceiveBuffer } from '../../lib/transports/shm/receive-buffer';
import type { NativeLease } from '../../lib/queue/types';
import type { EncodedColumns, EncodedLeases } from '../../lib/queue/encoded-source';
import { encodeItem } from '../../lib/codec/registry';

const HOLDER = 5;

interface Offer {
  readonly bytes: Uint8Array;
  readonly codec: number;
}

let offers: Offer[];
let steps: unknown[];
let handle: { attachment: { isOpen: boolean; holder: number; entry: unknown }; check: () => void };
let entry: NativeEntry;
let end: number;

beforeEach(() => {
  [offers, steps, end] = [[], [], EMPTY];
  const registers = new Int32Array(REGISTER_LEASE_IDS + 3 * MAX_BATCH);
  let lent: Offer[] = [];
  let received: Buffer;
  entry = {
    registers,
    lease: (waitMs: number, holder: number) => {
      expect(holder).toBe(HOLDER);
      steps.push(`lease ${waitMs}`);
      const offer = offers.shift();
      if (offer === undefined) return end;
      lent = [...lent, offer];
      registers[REGISTER_CODEC] = offer.codec;
      registers[REGISTER_LENGTH] = offer.bytes.length;
      registers[REGISTER_DELIVERIES] = 10 + lent.length;
      registers[REGISTER_CRASHES] = 20 + lent.length;
      return lent.length - 1;
    },
    setReceiveBuffer: (memory: Buffer) => void (received = memory),
    leaseMany: (offset: number, max: number, waitMs: number, holder: number) => {
      expect([max, holder]).toEqual([1, HOLDER]);
      steps.push(`lease ${waitMs}`);
      const offer = offers.shift();
      if (offer === undefined) return end;
      lent = [...lent, offer];
      received.set(offer.bytes, offset);
      registers[REGISTER_CODEC] = 0; // not raw, all of them
      registers[REGISTER_TABLE] = offer.bytes.length;
      registers[REGISTER_TABLE + 1] = offer.codec;
      registers[REGISTER_LEASE_IDS] = lent.length - 1;
      registers[REGISTER_LEASE_DELIVERIES] = 10 + lent.length;
      registers[REGISTER_LEASE_CRASHES] = 20 + lent.length;
      return 1;
    },
    copyLease: (id: number, to: Uint8Array) => to.set(lent[id]!.bytes),
    endLease: (id: number, acknowledge: boolean) => steps.push(`${acknowledge ? 'ack' : 'release'} ${id}`),
    setAside: (count: number, aside: boolean) =>
      steps.push([aside ? 'aside' : 'begin', ...registers.subarray(REGISTER_LEASE_IDS, REGISTER_LEASE_IDS + count)]),
    endLeases: (count: number, acknowledge: boolean, undo: boolean) =>
      steps.push([
        acknowledge ? 'ack' : undo ? 'undo' : 'release',
        ...registers.subarray(REGISTER_LEASE_IDS, REGISTER_LEASE_IDS + count),
      ]),
  } as unknown as NativeEntry;
  const attached = { native: entry, receiveBuffer: new ReceiveBuffer(entry), rung: () => {} };
  handle = { attachment: { isOpen: true, holder: HOLDER, entry: attached }, check: () => steps.push('check') };
});

const queue = (): Holder => handle as unknown as Holder;
const leaseSync = <T>(): NativeLease<T> =>
  new GetCalls<T>(handle as unknown as AttachedQueue).leaseSync({ block: false });
const since = (): unknown[] => steps.splice(0);
const offer = (item: unknown): Offer => {
  const { codecId, bytes } = encodeItem(item) as unknown as { codecId: number; bytes: Uint8Array };
  return { codec: codecId, bytes };
};
/** Bytes that lie as they are. */
const raw = (...lengths: number[]): Offer[] =>
  lengths.map((length, index) => ({ codec: 40 + index, bytes: Buffer.alloc(length, index + 1) }));

describe('one item', () => {
  test('is lent with what is known of it, and ends once', async () => {
    for (const [first, second, how] of [
      ['ackSync', 'releaseSync', 'ack'],
      ['releaseSync', 'ackSync', 'release'],
      ['ack', 'release', 'ack'],
      ['release', 'ack', 'release'],
    ] as const) {
      offers = [offer('text')];
      const lease = leaseSync<string>();
      expect(lease.item).toBe('text');
      expect(lease.crashes - lease.deliveries).toBe(10);
      since();
      // As a program may take them off it.
      const { [first]: end, [second]: endAgain } = lease;
      await end();
      await endAgain();
      expect(since()).toEqual([[how, expect.any(Number)]]);
    }
  });

  test('that ends beside many others leaves the loop its turns', async () => {
    for (const how of ['ack', 'release'] as const) {
      let turns = 0;
      setImmediate(() => turns++);
      // However long this turn takes: so many answers are one at most.
      for (let ended = 0; turns === 0 && ended < 2000; ended++) {
        offers = [offer(1)];
        await leaseSync()[how]();
      }
      expect(turns).toBe(1);
    }
  });

  test('that is left to go out of scope goes back', async () => {
    offers = [offer(1), offer(2)];
    const [one, other] = [leaseSync(), leaseSync()];
    since();
    // As a program may spread them.
    const [its, others] = [{ ...one }, { ...other }];
    its[Symbol.dispose]();
    await others[Symbol.asyncDispose]();
    expect(since()).toEqual([
      ['release', 0],
      ['release', 1],
    ]);
  });

  test('that went back with its handle: ack says so, release and what comes later need not', async () => {
    for (const end of ['ackSync', 'ack'] as const) {
      offers = [offer(1)];
      const lease = leaseSync();
      handle.attachment.isOpen = false;
      since();
      await expect(async () => lease[end]()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
      lease.ackSync();
      expect(since()).toEqual([]);
      handle.attachment.isOpen = true;
    }
    offers = [offer(1)];
    const lease = leaseSync();
    handle.attachment.isOpen = false;
    lease.releaseSync();
    lease.ackSync();
  });

  test('there is none', () => {
    expect(() => leaseSync()).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_EMPTY' }));
    expect(since()).toEqual(['check', 'check', 'lease 0']);
    end = SHUT;
    expect(() => leaseSync()).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_SHUT_DOWN' }));
  });

  test('that cannot be decoded is gone, unless its handle is', () => {
    offers = [{ codec: 200, bytes: Buffer.from('x') }];
    expect(() => leaseSync()).toThrow(expect.objectContaining({ code: 'ERR_ITEM_SERIALIZATION' }));
    expect(since()).toEqual(['check', 'check', 'lease 0', 'check', 'ack 0']);
    handle.check = () => {
      if (steps.push('check') > 3) throw new Error('closed');
    };
    offers = [{ codec: 200, bytes: Buffer.from('x') }];
    expect(() => leaseSync()).toThrow('closed');
    expect(since()).toEqual(['check', 'check', 'lease 0', 'check']);
  });
});

describe('a run of items', () => {
  /** Numbered from `first` on; deliveries and crashes are the number plus a hundred and two hundred. */
  const add = (items: LeasedItems, first: number, count: number): void => {
    for (let index = 0; index < count; index++) {
      entry.registers[REGISTER_LEASE_IDS + index] = first + index;
      entry.registers[REGISTER_LEASE_IDS + MAX_BATCH + index] = first + index + 100;
      entry.registers[REGISTER_LEASE_IDS + 2 * MAX_BATCH + index] = first + index + 200;
    }
    items.add(entry.registers, count);
  };

  let items: LeasedItems;
  beforeEach(() => {
    items = new LeasedItems(queue(), entry);
    add(items, 0, 3);
    add(items, 3, 2);
    entry.registers.fill(0);
  });

  test('knows of each how often it came, and in how many deaths it was', () => {
    expect([0, 1, 2, 3, 4].map((index) => [items.deliveries(index), items.crashes(index)])).toEqual(
      [0, 1, 2, 3, 4].map((index) => [index + 100, index + 200]),
    );
  });

  test.each([
    [0, 5, [[0, 1, 2, 3, 4]]],
    [1, 2, [[1]]],
    [2, 4, [[2, 3]]],
    [3, 5, [[3, 4]]],
    [0, 3, [[0, 1, 2]]],
  ])('ends from %j to %j, in one crossing', (from, to, crossings) => {
    items.end(from, to, true);
    expect(since()).toEqual(crossings.map((ids) => ['ack', ...ids]));
    items.end(from, to, false);
    expect(since()).toEqual(crossings.map((ids) => ['release', ...ids]));
    items.undo(from, to);
    expect(since()).toEqual(crossings.map((ids) => ['undo', ...ids]));
    items.setAside(from, to, true);
    expect(since()).toEqual(crossings.map((ids) => ['aside', ...ids]));
    items.setAside(from, to, false);
    expect(since()).toEqual(crossings.map((ids) => ['begin', ...ids]));
  });

  test('of a handle that is closed: ack says so, the rest need not', () => {
    handle.attachment.isOpen = false;
    items.end(0, 5, false);
    items.undo(0, 5);
    items.setAside(0, 5, true);
    expect(() => items.end(0, 5, true)).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' }));
    expect(since()).toEqual([]);
  });
});

describe('items as they lie', () => {
  const lend = (max: number, maxBytes = 1e6): EncodedLeases & { items: EncodedColumns } =>
    lendEncoded(queue(), entry, max, maxBytes) as EncodedLeases & { items: EncodedColumns };

  test('lie one after the other, with what is known of each', () => {
    offers = raw(3, 0, 5000, 2);
    const { run, items, more } = lend(10);
    expect(items.ends).toEqual([3, 3, 5003, 5005]);
    expect(items.codecs).toEqual([40, 41, 42, 43]);
    expect(items.data).toEqual(Buffer.concat(raw(3, 0, 5000, 2).map(({ bytes }) => bytes)));
    expect(more).toBe(false);
    expect([run.held.deliveries!(3), run.held.crashes!(3)]).toEqual([14, 24]);
    expect(since()).toEqual(Array(5).fill('lease 0'));
  });

  test('are as many as were asked for', () => {
    offers = raw(1, 1, 1);
    expect(lend(2).items.ends).toEqual([1, 2]);
    expect(since()).toHaveLength(2);
  });

  test('are no more than have so many bytes, but for the last of them', () => {
    offers = raw(10, 10, 10);
    const { items, more } = lend(10, 15);
    expect([items.ends, more]).toEqual([[10, 20], true]);
  });

  test('take no more memory than one has', () => {
    offers = raw(10);
    expect(lend(1).items.data.buffer.byteLength).toBe(10);
  });

  test('go back as if they had never been lent where there is no memory for them; those before them do not', () => {
    const real = Buffer.allocUnsafeSlow.bind(Buffer);
    const memory = jest.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation((bytes) => {
      if (bytes > 5000) throw new RangeError('no memory');
      return real(bytes);
    });
    offers = raw(10, 6000, 1);
    const { items, more } = lend(10);
    expect([items.ends, items.codecs, more]).toEqual([[10], [40], false]);
    expect(since()).toEqual(['lease 0', 'lease 0', ['undo', 1]]);
    offers = raw(6000);
    expect(() => lend(10)).toThrow('no memory');
    expect(since()).toEqual(['lease 0', ['undo', 2]]);
    memory.mockRestore();
  });

  test('there are none, or the queue is shut down', () => {
    expect(lendEncoded(queue(), entry, 4, 1e6)).toBeUndefined();
    end = SHUT;
    expect(() => lendEncoded(queue(), entry, 4, 1e6)).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_SHUT_DOWN' }));
    offers = raw(1);
    expect(lend(4).items.ends).toEqual([1]); // what there was comes before that
  });

  test('end together, 64 in a crossing', () => {
    offers = raw(...Array<number>(130).fill(1));
    const { run } = lend(200);
    since();
    run.end(0, 130, true);
    const ids = Array.from({ length: 130 }, (_, id) => id);
    expect(since()).toEqual([
      ['ack', ...ids.slice(0, 64)],
      ['ack', ...ids.slice(64, 128)],
      ['ack', 128, 129],
    ]);
  });

  test('go back, or as if they had never been lent; of a closed handle they have', () => {
    offers = raw(1, 1, 1);
    const { run } = lend(3);
    since();
    run.end(0, 1, false);
    run.undo(1, 2);
    expect(since()).toEqual([['release', 0], ['undo', 1]]); // prettier-ignore
    handle.attachment.isOpen = false;
    run.end(2, 3, false);
    run.undo(2, 3);
    expect(since()).toEqual([]);
  });
});
