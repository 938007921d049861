/** Ctrl-C and its kin as an AbortSignal, so that what a command holds goes back before it ends. */

/** How a command ends that was told to. */
export class Interrupted extends Error {
  constructor(
    /** As a shell shows it: 128 and the signal's number. */
    readonly status: number,
    message = 'interrupted.',
  ) {
    super(message);
  }
}

const STATUS: Record<string, number> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Aborts, with an Interrupted as its reason, at the first SIGINT, SIGTERM or SIGHUP. The second one ends the process as if nobody
 * had listened, so that a command which hangs can still be stopped.
 *
 * @param hangUp what SIGHUP does instead
 */
export function interruption(hangUp?: () => void): AbortSignal {
  const controller = new AbortController();
  for (const [name, status] of Object.entries(STATUS)) {
    if (name === 'SIGHUP' && hangUp !== undefined) {
      process.on(name, hangUp);
      continue;
    }
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(status);
      controller.abort(new Interrupted(status));
    });
  }
  return controller.signal;
}
