/** Options nobody knows are refused: a misspelt one would be ignored without a word, and `get({ timeout: 10 })` would wait for ever. */

/** Own enumerable string keys whose value is not undefined count. @throws TypeError (ERR_OPTION_UNKNOWN) */
export function refuseUnknown(options: object, known: readonly string[]): void {
  for (const key in options) {
    if (known.includes(key) || !Object.hasOwn(options, key)) continue;
    if ((options as Record<string, unknown>)[key] !== undefined) throw unknownOption(key, known);
  }
}

function unknownOption(key: string, known: readonly string[]): TypeError {
  const error = new TypeError(
    `There is no option ${JSON.stringify(key.slice(0, 60))} here (did you mean ${nearestOf(key, known)}?); known are: ${known.join(', ')}.`,
  );
  return Object.defineProperty(error, 'code', {
    value: 'ERR_OPTION_UNKNOWN',
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** The known one that begins alike or has the same letters, else that with the fewest edits. Case and underscores do not count. */
function nearestOf(key: string, known: readonly string[]): string {
  const sought = plain(key.slice(0, 60));
  let best = known[0]!;
  let fewest = Infinity;
  for (const name of known) {
    const candidate = plain(name);
    const begins = sought.length > 2 && (candidate.startsWith(sought) || sought.startsWith(candidate));
    const edits = begins || lettersOf(sought) === lettersOf(candidate) ? 0.5 : editsBetween(sought, candidate);
    if (edits >= fewest) continue;
    best = name;
    fewest = edits;
  }
  return best;
}

const plain = (name: string): string => name.replaceAll('_', '').toLowerCase();
const lettersOf = (name: string): string => [...name].sort().join('');

/** Levenshtein's distance. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
