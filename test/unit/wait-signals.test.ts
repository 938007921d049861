/** What calls that wait share: one listener for each signal, and one timer that keeps the process. */
import { getEventListeners } from 'node:events';
import { CallEnd, ignoreAbort, listenForAbort, onAbort, untilAborted } from '../../lib/wait/abort-listeners';
import type { keepAlive } from '../../lib/wait/keep-alive';
import { aborting } from './aborting';

describe('keepAlive', () => {
  test('holds one timer for as long as anybody wants it', () => {
    const refs: boolean[] = [];
    const timer = { ref: () => refs.push(true), unref: () => refs.push(false) };
    const made = jest.spyOn(globalThis, 'setInterval').mockReturnValue(timer as never);
    try {
      jest.isolateModules(() => {
        const { keepAlive: fresh } = jest.requireActual<{ keepAlive: typeof keepAlive }>('../../lib/wait/keep-alive');
        fresh.hold();
        fresh.hold();
        expect(made).toHaveBeenCalledTimes(1);
        fresh.drop();
        expect(refs).toEqual([]);
        fresh.drop();
        expect(refs).toEqual([false]);
        fresh.hold();
        expect(refs).toEqual([false, true]);
        expect(made).toHaveBeenCalledTimes(1);
        fresh.drop();
        expect(refs).toEqual([false, true, false]);
      });
    } finally {
      made.mockRestore();
    }
  });
});

describe('a signal', () => {
  test('has one listener, calls in the order of the calls, and those that left no more', () => {
    const { signal, abort } = aborting();
    const called: string[] = [];
    const leave = ['a', 'b', 'c'].map((name) => onAbort(signal, () => void called.push(name)));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    leave[1]!();
    leave[1]!();
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    abort();
    expect(called).toEqual(['a', 'c']);
  });

  test('is left by the last one, and may be listened to anew', () => {
    const { signal, abort } = aborting();
    const first = jest.fn();
    const second = jest.fn();
    onAbort(signal, first)();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    onAbort(signal, second);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    abort();
    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledTimes(1);
  });

  test('that leaves its listeners while it tells them tells all the same', () => {
    const { signal, abort } = aborting();
    const called: string[] = [];
    const leave: (() => void)[] = [];
    for (const name of ['a', 'b']) {
      leave.push(
        onAbort(signal, () => {
          called.push(name);
          for (const one of leave) one();
        }),
      );
    }
    abort();
    expect(called).toEqual(['a', 'b']);
  });

  test('that has fired calls at once, and none calls never', () => {
    const aborted = jest.fn();
    const fired = AbortSignal.abort();
    const leave = onAbort(fired, aborted);
    expect(aborted).toHaveBeenCalledTimes(1);
    expect(getEventListeners(fired, 'abort')).toHaveLength(0);
    leave();
    ignoreAbort(fired, { handleEvent: aborted });
    onAbort(undefined, aborted)();
    expect(aborted).toHaveBeenCalledTimes(1);
  });

  test('that has fired tells who listens to it then, soon, once, and unless they have left', async () => {
    const fired = AbortSignal.abort();
    const { signal } = aborting();
    const listeners = ['stays', 'leaves', 'waits'].map(() => ({ handleEvent: jest.fn() }));
    const [stays, leaves, waits] = listeners as [{ handleEvent: jest.Mock }, { handleEvent: jest.Mock }, { handleEvent: jest.Mock }]; // prettier-ignore
    listenForAbort(fired, stays);
    listenForAbort(fired, leaves);
    listenForAbort(signal, waits);
    ignoreAbort(fired, leaves);
    expect(stays.handleEvent).not.toHaveBeenCalled();
    await Promise.resolve();
    expect(listeners.map(({ handleEvent }) => handleEvent.mock.calls.length)).toEqual([1, 0, 0]);
    for (const [at, listener] of [[fired, stays], [signal, waits]] as const) ignoreAbort(at, listener); // prettier-ignore
    for (const at of [fired, signal]) expect(getEventListeners(at, 'abort')).toHaveLength(0);
  });

  test('ends a call that works ahead, with its reason, and is left when that is over', () => {
    const { signal, abort } = aborting();
    const end = new CallEnd(signal);
    const other = new CallEnd(signal);
    other.dispose();
    abort();
    expect(end.signal.reason).toMatchObject({ message: 'aborted' });
    expect(other.signal.aborted).toBe(false);
    const own = new CallEnd(undefined);
    own.end(new Error('done'));
    expect(own.signal.reason).toMatchObject({ message: 'done' });
  });

  test('ends a wait for a promise with its reason, and is left when the promise was first', async () => {
    const { signal, abort } = aborting();
    const ended = Promise.resolve(7);
    expect(untilAborted(ended, undefined)).toBe(ended);
    expect(await untilAborted(ended, signal)).toBe(7);
    await expect(untilAborted(Promise.reject(new Error('broke')), signal)).rejects.toThrow('broke');
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    const waiting = untilAborted(new Promise(() => {}), signal);
    abort();
    await expect(waiting).rejects.toThrow('aborted');
  });
});
