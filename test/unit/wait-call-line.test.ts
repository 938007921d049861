/** Calls that stand in line: served in order, passed where that is allowed, and gone without a trace however they end. */
import { getEventListeners } from 'node:events';
import { ASIDE, CallGroup, CallLine, HOLDS } from '../../lib/wait/call-line';
import type { Attempt, LineState } from '../../lib/wait/call-line';
import { keepAlive } from '../../lib/wait/keep-alive';
import { FOR_EVER } from '../../lib/wait/options';
import type { Wait } from '../../lib/wait/options';
import { aborting } from './aborting';

const late = (): Error => new Error('late');

/** A line, and the calls of one handle in it. */
class Standing {
  readonly freed: boolean[] = [];
  readonly line = new CallLine('get', (first) => this.freed.push(first));
  readonly group = new CallGroup();
  readonly told: string[] = [];

  stand<R>(
    attempt: Attempt<R>,
    more: { wait?: Wait; mayPass?: () => boolean; state?: LineState; group?: CallGroup } = {},
  ) {
    const { wait = FOR_EVER, mayPass, state, group = this.group } = more;
    return this.line.add<R>({ wait, attempt, late, group, mayPass }, state);
  }

  /** Tells when it ends, and how. */
  tell(name: string, call: Promise<unknown>): void {
    call.then(
      (value) => this.told.push(`${name}: ${String(value)}`),
      (error: Error) => this.told.push(`${name}! ${error.message}`),
    );
  }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

describe('a line', () => {
  let standing: Standing;
  let have: number;
  const take = (): { value: number } | undefined => (have > 0 ? { value: have-- } : undefined);

  beforeEach(() => {
    standing = new Standing();
    have = 0;
  });
  afterEach(() => standing.line.giveUp(() => new Error('over')));

  test('is served from the front until one has to go on waiting', async () => {
    for (const name of ['a', 'b', 'c']) standing.tell(name, standing.stand(take));
    expect(standing.line.waiting).toBe(3);
    expect(standing.line.isTaken).toBe(true);
    expect(standing.line.serve()).toBe('wanted');
    have = 2;
    expect(standing.line.serve()).toBe('wanted');
    await turns();
    expect(standing.told).toEqual(['a: 2', 'b: 1']);
    expect(standing.freed).toEqual([true, true]);
    have = 1;
    expect(standing.line.serve()).toBe('idle');
    expect(standing.line.isTaken).toBe(false);
    expect(standing.line.isWanted).toBe(false);
    expect(standing.line.waiting).toBe(0);
  });

  test('stops after so many that were served', () => {
    have = 5;
    for (let call = 0; call < 3; call++) void standing.stand(take);
    expect(standing.line.serve(2)).toBe('more');
    expect(have).toBe(3);
    expect(standing.line.serve(2)).toBe('idle');
    expect(have).toBe(2);
  });

  test('one that holds its place asks for nothing, and those behind it wait', () => {
    void standing.stand(() => HOLDS, { state: HOLDS }).catch(() => {});
    void standing.stand(take).catch(() => {});
    have = 1;
    expect(standing.line.isWanted).toBe(false);
    expect(standing.line.isTaken).toBe(true);
    expect(standing.line.waiting).toBe(1);
    expect(standing.line.serve()).toBe('idle');
    expect(have).toBe(1);
  });

  test('one that stands aside lets those behind pass, and takes none of so many', async () => {
    let aside: LineState = ASIDE;
    standing.tell(
      'aside',
      standing.stand(() => aside ?? take(), { state: ASIDE }),
    );
    expect(standing.line.isTaken).toBe(false);
    expect(standing.line.waiting).toBe(0);
    standing.tell('b', standing.stand(take));
    standing.tell('c', standing.stand(take));
    have = 2;
    expect(standing.line.serve(1)).toBe('more');
    await turns();
    expect(standing.told).toEqual(['b: 2']);
    aside = undefined;
    expect(standing.line.serve()).toBe('wanted');
    await turns();
    expect(standing.told).toEqual(['b: 2', 'aside: 1']);
    expect(standing.line.isWanted).toBe(true);
  });

  test('what the last try said of a call is what it waits for', () => {
    let says: LineState = ASIDE;
    void standing.stand(() => says).catch(() => {});
    const state = (): unknown[] => [standing.line.waiting, standing.line.isTaken, standing.line.isWanted];
    expect(state()).toEqual([1, true, true]);
    standing.line.serve();
    expect(state()).toEqual([0, false, false]);
    says = HOLDS;
    expect(standing.line.serve()).toBe('idle');
    expect(state()).toEqual([0, true, false]);
    says = undefined;
    expect(standing.line.serve()).toBe('wanted');
    expect(state()).toEqual([1, true, true]);
  });

  test('one that may pass is tried although those before it wait, one that may not, is not', async () => {
    let passes = false;
    standing.tell('first', standing.stand(take));
    standing.tell(
      'passer',
      standing.stand(() => ({ value: 'through' }), { mayPass: () => passes }),
    );
    expect(standing.line.serve()).toBe('wanted');
    await turns();
    expect(standing.told).toEqual([]);
    passes = true;
    expect(standing.line.serve()).toBe('wanted');
    await turns();
    expect(standing.told).toEqual(['passer: through']);
    expect(standing.freed).toEqual([false]);
    have = 1;
    expect(standing.line.serve()).toBe('idle');
  });

  test('one that may pass and stands first is tried once in a round', () => {
    const attempt = jest.fn(() => undefined);
    void standing.stand(attempt, { mayPass: () => true }).catch(() => {});
    expect(standing.line.serve()).toBe('wanted');
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  test('a passer that left is tried no more', () => {
    const attempt = jest.fn(() => undefined);
    const { signal, abort } = aborting();
    void standing.stand(take).catch(() => {});
    void standing.stand(attempt, { mayPass: () => true, wait: { timeoutMs: Infinity, signal } }).catch(() => {});
    abort();
    standing.line.serve();
    expect(attempt).not.toHaveBeenCalled();
  });

  test('what a try throws ends that call, and the next one is served', async () => {
    standing.tell(
      'a',
      standing.stand(() => {
        throw new Error('broken');
      }),
    );
    standing.tell('b', standing.stand(take));
    have = 1;
    expect(standing.line.serve()).toBe('idle');
    await turns();
    expect(standing.told).toEqual(['a! broken', 'b: 1']);
  });

  test('a try that serves its own line is not tried again in it', async () => {
    standing.tell(
      'a',
      standing.stand(() => (standing.line.serve(), take())),
    );
    have = 1;
    standing.line.serve();
    await turns();
    expect(standing.told).toEqual(['a: 1']);
    expect(have).toBe(0);
  });

  test('aborted in its own try it keeps what it took, and else ends with the first reason', async () => {
    for (const took of [true, false]) {
      const { signal, abort } = aborting();
      const attempt = (): { value: number } | undefined => {
        abort();
        standing.group.giveUp(() => new Error('closed'));
        return took ? { value: 7 } : undefined;
      };
      standing.tell(String(took), standing.stand(attempt, { wait: { timeoutMs: Infinity, signal } }));
      standing.line.serve();
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    }
    await turns();
    expect(standing.told).toEqual(['true: 7', 'false! aborted']);
  });

  test('a signal, the end of its handle and the end of the line each end a call', async () => {
    const { signal, abort } = aborting();
    const other = new CallGroup();
    standing.tell('aborted', standing.stand(take, { wait: { timeoutMs: Infinity, signal } }));
    standing.tell('closed', standing.stand(take));
    standing.tell('other', standing.stand(take, { group: other }));
    expect(standing.group.calls.size).toBe(2);
    abort();
    standing.group.giveUp(() => new Error('closed'));
    await turns();
    expect(standing.told).toEqual(['aborted! aborted', 'closed! closed']);
    expect(standing.group.calls.size).toBe(0);
    standing.line.giveUp(() => new Error('over'));
    await turns();
    expect(standing.told).toEqual(['aborted! aborted', 'closed! closed', 'other! over']);
    expect(standing.freed).toEqual([true, true, true]);
  });

  test('one that is late takes a last look when it is first, and does not when it is not', async () => {
    jest.useFakeTimers();
    try {
      const wait = { timeoutMs: 10, signal: undefined };
      have = 2;
      const second = jest.fn(take);
      standing.tell('first', standing.stand(take, { wait }));
      standing.tell('third', standing.stand(take));
      standing.tell('second', standing.stand(second, { wait: { timeoutMs: 5, signal: undefined } }));
      await jest.advanceTimersByTimeAsync(6);
      expect(standing.told).toEqual(['second! late']);
      expect(second).not.toHaveBeenCalled();
      await jest.advanceTimersByTimeAsync(6);
      expect(standing.told).toEqual(['second! late', 'first: 2']);
      have = 0;
      standing.line.giveUp(() => new Error('over'));
      standing.tell('nothing', standing.stand(take, { wait }));
      await jest.advanceTimersByTimeAsync(20);
      expect(standing.told).toEqual(['second! late', 'first: 2', 'third! over', 'nothing! late']);
    } finally {
      jest.useRealTimers();
    }
  });

  test('an aborted call takes no last look', async () => {
    const { signal, abort } = aborting();
    have = 1;
    standing.tell('a', standing.stand(take, { wait: { timeoutMs: 1e6, signal } }));
    abort();
    await turns();
    expect(standing.told).toEqual(['a! aborted']);
    expect(have).toBe(1);
  });

  test('its timer goes with it', async () => {
    jest.useFakeTimers();
    try {
      have = 1;
      standing.tell('a', standing.stand(take, { wait: { timeoutMs: 1000, signal: undefined } }));
      expect(jest.getTimerCount()).toBe(1);
      standing.line.serve();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
    await turns();
    expect(standing.told).toEqual(['a: 1']);
  });
});

describe('the process', () => {
  /** How often it is held, and let go. */
  let held: number;
  beforeEach(() => {
    held = 0;
    jest.spyOn(keepAlive, 'hold').mockImplementation(() => void held++);
    jest.spyOn(keepAlive, 'drop').mockImplementation(() => void held--);
  });
  afterEach(() => jest.restoreAllMocks());

  test('is kept by the calls that wait, unless their handle says otherwise', () => {
    const standing = new Standing();
    let have = 0;
    const take = (): { value: number } | undefined => (have > 0 ? { value: have-- } : undefined);
    void standing.stand(take).catch(() => {});
    void standing.stand(take).catch(() => {});
    expect(held).toBe(2);
    standing.group.setReferenced(false);
    expect(held).toBe(0);
    void standing.stand(take).catch(() => {});
    expect(held).toBe(0);
    standing.group.setReferenced(true);
    standing.group.setReferenced(true);
    expect(held).toBe(3);
    have = 1;
    standing.line.serve();
    expect(held).toBe(2);
    standing.line.giveUp(() => new Error('over'));
    expect(held).toBe(0);
    const unreferenced = new CallGroup(false);
    void standing.stand(take, { group: unreferenced }).catch(() => {});
    expect(held).toBe(0);
    standing.line.giveUp(() => new Error('over'));
  });
});
