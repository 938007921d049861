/** What Ray's credentials are made of, and that no message repeats a token. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QueueConnectionError } from '../../lib';
import { completeCredentials } from '../../lib/transports/ray/client/grpc';

const PEM = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
const environment = { ...process.env };
let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), 'sage-queue-credentials-'))));
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('RAY_')) delete process.env[name];
});
afterAll(() => {
  Object.assign(process.env, environment);
  rmSync(directory, { recursive: true });
});

function refusal(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(QueueConnectionError);
    return error as Error;
  }
  throw new Error('it was taken');
}

test('texts and paths of PEMs', () => {
  const path = join(directory, 'ca.pem');
  writeFileSync(path, PEM);
  expect(completeCredentials({ ca: path, cert: PEM })).toMatchObject({ ca: PEM, cert: PEM });
  expect(refusal(() => completeCredentials({ ca: '/nowhere/ca.pem' })).message).toMatch(
    /credentials\.ca "\/nowhere\/ca\.pem" is neither/,
  );
  expect(refusal(() => completeCredentials({ key: 'half a key' })).message).not.toContain('half a key');
});

test('null is as good as absent', () => {
  const none = { ca: undefined, cert: undefined, key: undefined, token: undefined };
  expect(completeCredentials(null)).toEqual(none);
  expect(completeCredentials(JSON.parse('{ "token": null, "ca": null }'))).toEqual(none);
});

test.each(['line break\n', 'ümlaut', ' sp4ce'])('the token %j fits no header', (token) => {
  const given = refusal(() => completeCredentials({ token }));
  process.env.RAY_AUTH_MODE = 'token';
  process.env.RAY_AUTH_TOKEN = token;
  const found = refusal(() => completeCredentials());
  expect(given.message).toMatch(/^credentials\.token must/);
  expect(found.message).toMatch(/^RAY_AUTH_TOKEN must/);
  for (const { message } of [given, found]) expect(message).not.toContain(token);
});

test('a token file may end with a line break', () => {
  const path = join(directory, 'token');
  process.env.RAY_AUTH_MODE = 'token';
  process.env.RAY_AUTH_TOKEN_PATH = path;
  writeFileSync(path, 'secret\n');
  expect(completeCredentials().token).toBe('secret');
  writeFileSync(path, 'two\nlines');
  expect(refusal(() => completeCredentials()).message).toContain(`the token in ${path} must`);
});
