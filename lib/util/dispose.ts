/**
 * The disposal symbols. Node 20 has them on its main context, but not every vm context (a jest sandbox, say) does; there the
 * package still needs a key that is not the string 'undefined'.
 */
export const asyncDispose: typeof Symbol.asyncDispose =
  (Symbol.asyncDispose as typeof Symbol.asyncDispose | undefined) ??
  (Symbol.for('nodejs.asyncDispose') as typeof Symbol.asyncDispose);

export const syncDispose: typeof Symbol.dispose =
  (Symbol.dispose as typeof Symbol.dispose | undefined) ?? (Symbol.for('nodejs.dispose') as typeof Symbol.dispose);
