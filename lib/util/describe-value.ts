/** How a value is named in a message. */

/** A short rendering for error messages that never throws and never prints a whole document. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case 'bigint':
      return `the BigInt ${value}n`;
    case 'symbol':
    case 'function':
      return `a ${typeof value}`;
    case 'object':
      if (value === null) return 'null';
      return isArray(value) ? 'an array' : 'an object';
    default:
      return Object.is(value, -0) ? '-0' : String(value);
  }
}

/** What was thrown, as `String` gives it, where it can be turned into one. Never throws. */
export function describeThrown(error: unknown): string {
  try {
    return String(error);
  } catch {
    return describeValue(error);
  }
}

/** What is known of a revoked proxy is that it is an object. */
export function isArray(value: object): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}
