/** Linear interpolation between the two nearest. */
export function quantile(values, share) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

export const summary = (values) => ({
  median: quantile(values, 0.5),
  q1: quantile(values, 0.25),
  q3: quantile(values, 0.75),
  runs: values.length,
});

/** One ratio per round: both were measured within it, one soon after the other. */
export function ratios(subject, reference, of = 'value') {
  const values = [];
  for (const run of subject) {
    const other = reference.find(({ round }) => round === run.round);
    if (other !== undefined) values.push(run[of] / other[of]);
  }
  return values;
}

/** Quartiles further apart than this share of the median are said to be wide. */
export const WIDE = 0.25;
export const isWide = ({ median, q1, q3 }) => (q3 - q1) / median > WIDE;
