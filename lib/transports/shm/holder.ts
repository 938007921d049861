/** One handle, to what works for it; whatever refers to it keeps it from being collected. */
export interface Holder {
  readonly attachment: {
    /** As what its entry knows the handle. */
    readonly holder: number;
    readonly isOpen: boolean;
  };
  /** @throws QueueClosedError */
  check(): void;
}
