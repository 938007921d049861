/** Awaited calls that are answered at once would never let the event loop go on: after some, one waits for its next turn. */
const ANSWERS_PER_TURN = 512;
let answers = 0;

/** Counts items that were moved without waiting. */
export function isTurnOver(moved: number): boolean {
  answers += moved;
  return answers > ANSWERS_PER_TURN;
}

export const nextTurn = (): Promise<void> =>
  new Promise((resolve) =>
    setImmediate(() => {
      answers = 0;
      resolve();
    }),
  );

/** An awaited call that failed at once: whoever asks again and again leaves the loop its turns, too. */
export const refused = (error: unknown): Promise<never> =>
  isTurnOver(1)
    ? nextTurn().then(() => {
        throw error;
      })
    : Promise.reject(error as Error);
