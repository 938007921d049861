/** One line chart over the suites of different sizes: bytes per second, both axes logarithmic. */
import { summary } from './harness/statistics.mjs';

const WIDTH = 760;
const HEIGHT = 380;
const LEFT = 80;
const RIGHT = 170;
const TOP = 66;
const BOTTOM = HEIGHT - 64;
const LABEL_HEIGHT = 17;

const sizeName = (bytes) =>
  bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${bytes / 1024} KiB` : `${bytes / 1048576} MiB`;
const rateName = (rate) =>
  rate >= 1e9 ? `${rate / 1e9} GB/s` : rate >= 1e6 ? `${rate / 1e6} MB/s` : `${rate / 1e3} kB/s`;

/** @returns the body of the picture and its height; undefined when fewer than two sizes were measured */
export function sizePlot(suites, footer) {
  const sizes = suites.filter(({ id }) => id.startsWith('size-')).sort((a, b) => a.work.bytes - b.work.bytes);
  if (sizes.length < 2) return undefined;
  const names = [...new Set(sizes.flatMap(({ results }) => results.map(({ name }) => name)))];
  const series = names.map((name) => ({
    name,
    points: sizes.flatMap(({ work, results }) => {
      const found = results.find((result) => result.name === name);
      if (found === undefined) return [];
      return [[work.bytes, summary(found.runs.map(({ value }) => value)).median * work.bytes]];
    }),
  }));
  const rates = series.flatMap(({ points }) => points.map(([, rate]) => rate));
  const low = 10 ** Math.floor(Math.log10(Math.min(...rates)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...rates)));
  const [small, large] = [sizes[0].work.bytes, sizes.at(-1).work.bytes];
  const x = (bytes) => LEFT + ((WIDTH - LEFT - RIGHT) * Math.log(bytes / small)) / Math.log(large / small);
  const y = (rate) => BOTTOM - ((BOTTOM - TOP) * Math.log(rate / low)) / Math.log(high / low);
  const parts = [
    '<text x="16" y="24" class="title">Bytes per second by the size of a message, one producer, one consumer</text>',
    `<text x="16" y="42" class="small">median of ${sizes[0].rounds} alternating runs; both axes logarithmic; higher is better</text>`,
  ];
  for (let tick = low; tick <= high * 1.001; tick *= 10) {
    const at = y(tick).toFixed(1);
    parts.push(`<line x1="${LEFT}" y1="${at}" x2="${WIDTH - RIGHT}" y2="${at}" class="grid"/>`);
    parts.push(
      `<text x="${LEFT - 8}" y="${Number(at) + 4}" class="small" text-anchor="end">${rateName(Math.round(tick))}</text>`,
    );
  }
  for (const { work } of sizes) {
    parts.push(
      `<text x="${x(work.bytes).toFixed(1)}" y="${BOTTOM + 20}" class="small" text-anchor="middle">${sizeName(work.bytes)}</text>`,
    );
  }
  // Names beside the ends of the lines, from above, each at least its height below the one before.
  let free = 0;
  const byEnd = series.map((one, index) => ({ ...one, index })).sort((a, b) => b.points.at(-1)[1] - a.points.at(-1)[1]);
  for (const { name, points, index } of byEnd) {
    const path = points.map(([bytes, rate]) => `${x(bytes).toFixed(1)},${y(rate).toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${path}" class="line line${index}"/>`);
    for (const [bytes, rate] of points)
      parts.push(
        `<circle cx="${x(bytes).toFixed(1)}" cy="${y(rate).toFixed(1)}" r="3.5" class="line${index} point${index}"/>`,
      );
    const [bytes, rate] = points.at(-1);
    free = Math.max(y(rate) + 4, free);
    parts.push(`<text x="${(x(bytes) + 12).toFixed(1)}" y="${free.toFixed(1)}" class="point${index}">${name}</text>`);
    free += LABEL_HEIGHT;
  }
  parts.push(`<text x="16" y="${HEIGHT - 14}" class="small">${footer}</text>`);
  return { parts, width: WIDTH, height: HEIGHT };
}
