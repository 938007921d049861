/** The documented names: which segment a descriptor means and which file that is, in every language that reads test/vectors/segment-names.json. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './child';

interface Vectors {
  segments: { about: string; descriptor: object; name: string; file: string }[];
  refused: { about: string; descriptor: object; code: string }[];
}
const { segments, refused } = JSON.parse(
  readFileSync(join(root, 'test/vectors/segment-names.json'), 'utf8'),
) as Vectors;

let directory = '';
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), 'sage-queue-names-'))));
afterAll(() => rmSync(directory, { recursive: true }));

/** What the child says of each: the name of which nothing is there, the file made, or that another user would have to make. */
const LOOK = `
for (const descriptor of given[1]) {
  const codeOf = (look) => { try { return look(); } catch (error) { return error; } };
  const missing = codeOf(() => sq.resolveDescriptor(descriptor, { create: 'never' }));
  const name = /there is no queue (\\S+) on this host/.exec(missing.message)?.[1];
  const made = codeOf(() => sq.resolveDescriptor(descriptor));
  const file = made instanceof Error ? /^segment (\\S+): it does not exist/.exec(made.message)?.[1] : fs.readdirSync(given[0]).join();
  if (!(made instanceof Error)) { made.unlinkSync(); made.closeSync(); }
  say({ name, file, codes: [missing.code, made.code] });
}`;

const look = (descriptors: object[]): Promise<{ name?: string; file?: string; codes: string[] }[]> =>
  run(LOOK, null, [directory, descriptors], { env: { SAGE_QUEUE_DIR: directory } });

test('the name and the file of every descriptor', async () => {
  const own = (text: string): string => text.replace('{uid}', String(process.getuid!()));
  const found = await look(segments.map(({ descriptor }) => descriptor));
  expect(found.map(({ name, file }) => ({ name, file }))).toEqual(
    segments.map(({ name, file }) => ({ name: own(name), file: own(file) })),
  );
  expect(new Set(segments.map(({ file }) => file)).size).toBe(segments.length);
});

test('names that are refused, whether the queue is to be made or not', async () => {
  const found = await look(refused.map(({ descriptor }) => descriptor));
  expect(found.map(({ codes }) => codes)).toEqual(refused.map(({ code }) => [code, code]));
});
