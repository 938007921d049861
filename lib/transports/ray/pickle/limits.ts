/** How large pickles may be. */

export interface ReadLimits {
  /** Longest pickle taken, in bytes. Default 512 MiB. */
  maxBytes?: number;
  /** Most containers, instances and memo entries; each costs far more memory than the one byte that asks for it. Default 4 million. */
  maxObjects?: number;
  /** Most values on the stack at once. Default 32 million. */
  maxStack?: number;
  /** Longest integer, in bytes. Default 16 MiB. */
  maxIntegerBytes?: number;
  /** Deepest nesting of the converted value. Default 500. */
  maxDepth?: number;
}

export const DEFAULT_LIMITS: Required<ReadLimits> = {
  maxBytes: 512 * 1024 * 1024,
  maxObjects: 4_000_000,
  maxStack: 32_000_000,
  maxIntegerBytes: 16 * 1024 * 1024,
  maxDepth: 500,
};

export interface WriteLimits {
  /** Longest pickle made, in bytes. Default 512 MiB. */
  maxBytes?: number;
  /** Deepest nesting. Default 500. */
  maxDepth?: number;
}
