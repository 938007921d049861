/** Functions made while the program runs, for the values it happens to have. What is not a constant of this package stands in them as JSON only. */

/** What `code` returns, which has the scope's values by their names. Undefined where the process forbids code from strings. */
export function compile<T>(scope: object, code: string): T | undefined {
  const text = `'use strict';\nconst { ${Object.keys(scope).join(', ')} } = scope;\n${code}`;
  try {
    return (new Function('scope', text) as (given: object) => T)(scope);
  } catch (error) {
    // Node (--disallow-code-generation-from-strings) and content policies throw this.
    if (error instanceof EvalError) return undefined;
    throw error;
  }
}
