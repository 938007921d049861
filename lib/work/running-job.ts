import type { Job } from './types';

/** The signal is made when a handler asks for it: most do not. */
export class RunningJob implements Job {
  private controller: AbortController | undefined;
  private ended: { reason: unknown } | undefined;

  constructor(
    readonly deliveries: number,
    readonly crashes: number,
  ) {}

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.ended !== undefined) this.controller.abort(this.ended.reason);
    }
    return this.controller.signal;
  }

  abort(reason: unknown): void {
    this.ended ??= { reason };
    this.controller?.abort(reason);
  }
}
