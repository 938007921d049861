/** How those who work for a handle hear that it was closed, or its queue shut down through it: what ends their work must not wait for them. */

/** The method's name; no part of what programs see. */
export const onHandleEnd: unique symbol = Symbol('onHandleEnd');

export type HandleEnded = (reason: Error) => void;

export interface EndingHandle {
  /** @returns what ends the listening */
  [onHandleEnd](ended: HandleEnded): () => void;
}
