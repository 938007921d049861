/** How those who work for a handle hear what no call of theirs would tell them: what ends their work must not wait for them. */

/** The methods' names; no part of what programs see. */
export const onHandleClosing: unique symbol = Symbol('onHandleClosing');
export const onHandleEnd: unique symbol = Symbol('onHandleEnd');
export const onLeasesLost: unique symbol = Symbol('onLeasesLost');

export type HandleEnded = (reason: Error) => void;

export interface ClosingHandle {
  /** The handle is being closed, and what it has on lease is still its own. @returns what ends the listening */
  [onHandleClosing](closing: HandleEnded): () => void;
}

export interface EndingHandle {
  /** The handle was closed, or its queue shut down through it. @returns what ends the listening */
  [onHandleEnd](ended: HandleEnded): () => void;
  /** All that this handle had on lease has gone back to the queue, and the handle goes on. @returns what ends the listening */
  [onLeasesLost](lost: HandleEnded): () => void;
}

/** Who listens to one of them. */
export class Listeners {
  private readonly listeners = new Set<HandleEnded>();

  add(listener: HandleEnded): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(reason: Error): void {
    for (const listener of [...this.listeners]) listener(reason);
  }
}
