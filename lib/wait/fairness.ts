/** Awaited calls that are answered at once would never let the event loop go on: after some, or some time, one waits for its next turn. */
const ANSWERS_PER_TURN = 512;
const TURN_MS = 10;
/** The question for the time costs as much as a call: it is asked after so many answers, and by those that a turn has too many. */
const ANSWERS_PER_LOOK = 64;
/** So many answers more until it is asked; how many they were to be; and how many the turn had before. */
let left = ANSWERS_PER_LOOK;
let granted = ANSWERS_PER_LOOK;
let answers = 0;
/** When the turn began that one of these calls waited for last. There may have been others since: then the next one comes early. */
let began = performance.now();

/** Counts items that were moved without waiting. In two parts, since what V8 puts into a call has a budget. */
export function isTurnOver(moved: number): boolean {
  left -= moved;
  return left <= 0 && isTimeOver();
}

function isTimeOver(): boolean {
  answers += granted - left;
  if (performance.now() - began > TURN_MS) answers = ANSWERS_PER_TURN + 1;
  left = granted = Math.max(0, Math.min(ANSWERS_PER_LOOK, ANSWERS_PER_TURN + 1 - answers));
  return answers > ANSWERS_PER_TURN;
}

export const nextTurn = (): Promise<void> =>
  new Promise((resolve) =>
    setImmediate(() => {
      answers = 0;
      left = granted = ANSWERS_PER_LOOK;
      began = performance.now();
      resolve();
    }),
  );

/** Apart from what asks for it, where what its closure holds would cost the calls that do not come here, too. */
export const afterTurn = <R>(value: R): Promise<R> => nextTurn().then(() => value);

/** An awaited call that failed at once: whoever asks again and again leaves the loop its turns, too. */
export const refused = (error: unknown): Promise<never> =>
  isTurnOver(1)
    ? nextTurn().then(() => {
        throw error;
      })
    : Promise.reject(error as Error);
