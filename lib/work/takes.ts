/** How a consumer calls off what it waits for. */
import { onAbort } from '../wait/abort-listeners';

/** Not an error: the reason of a call that the consumer itself calls off. */
export const CALLED_OFF = Symbol('called off');

/** The signal of the calls that take items, until they are called off; then of those that follow. */
export class Takes {
  private controller = untilAborted();

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  callOff(): void {
    this.controller.abort(CALLED_OFF);
  }

  goOn(): void {
    this.controller = untilAborted();
  }
}

/** With a listener for as long as it lasts: otherwise each call would put one on the signal and take it off again. */
function untilAborted(): AbortController {
  const takes = new AbortController();
  onAbort(takes.signal, () => {});
  return takes;
}
