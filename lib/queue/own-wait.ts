/** The options of a call as an inner queue gets them: it may know others than ours, which are the caller's own. */
import type { Wait, WaitOptions } from '../wait/options';
import { readAnyWait } from '../wait/options';

export interface OwnWait extends Wait {
  /** What the caller said beside how long it waits. */
  readonly others: object;
}

const NONE = {};

/** @throws as readAnyWait */
export function readOwnWait(options: WaitOptions | undefined): OwnWait {
  const { timeoutMs, signal } = readAnyWait(options);
  if (options === undefined || options === null) return { timeoutMs, signal, others: NONE };
  const { block: _block, timeoutMs: _timeoutMs, signal: _signal, ...others } = options;
  return { timeoutMs, signal, others };
}

/** For one of the questions that the call becomes. The signal is heeded here: what it calls off may have been answered. */
export const innerOptions = ({ others }: Pick<OwnWait, 'others'>, timeoutMs: number): WaitOptions =>
  timeoutMs === 0 ? { ...others, block: false } : { ...others, timeoutMs };
