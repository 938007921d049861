/** Tokens and certificates: put, get and stat reach what serve guards, and a file that cannot be used is named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '../rpc/support/certificates';
import { command, expectOneLine, uniqueName } from './command';
import { run, serving } from './serving';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-cli-'));
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};
const token = file('token', 'sesame\n');
const queue = uniqueName('credentials');
const authority = new TestAuthority();
afterAll(() => {
  rmSync(directory, { recursive: true });
  authority.remove();
});

test('the token of serve --token-file, from a file or from the environment', async () => {
  await serving(['--queue', `jobs=sage:${queue}`, '--token-file', token], (address) => {
    const uri = `${address}jobs`;
    expect(run(['put', uri], 'x\n').stderr).toMatch(/token is missing or wrong/);
    expect(run(['put', uri, '--token-file', token], 'one\n')).toMatchObject({ status: 0, stderr: '' });
    const inEnvironment = { SAGE_QUEUE_TOKEN: 'sesame' };
    expect(run(['put', uri], 'two\n', inEnvironment)).toMatchObject({ status: 0, stderr: '' });
    expect(run(['stat', uri, '--json', '--token-file', token]).stdout).toMatch(/"qsize": 2/);
    expect(run(['get', uri, '--count', '2'], '', inEnvironment)).toMatchObject({ status: 0, stdout: 'one\ntwo\n' });
  });
});

test('TLS, with a certificate of the client where the server asks for one', async () => {
  const server = authority.issue('server');
  const client = authority.issue('client');
  const tls = ['--tls-cert', server.cert, '--tls-key', server.key, '--tls-client-ca', authority.ca];
  await serving(['--queue', `jobs=sage:${queue}`, ...tls], (address) => {
    const trusted = ['--tls-ca', authority.ca, '--tls-cert', client.cert, '--tls-key', client.key];
    // A name: Node deprecates TLS by IP address, on stderr.
    const uri = `${address.replace('127.0.0.1', 'localhost')}jobs`;
    expect(run(['put', uri, ...trusted], 'one\n')).toMatchObject({ status: 0, stderr: '' });
    const got = run(['get', uri, '--count', '1', ...trusted]);
    expect(got).toMatchObject({ status: 0, stdout: 'one\n' });
  });
});

const noPem = file('no.pem', 'not a certificate');
const badPem = file('bad.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
const empty = file('empty', '\n');
const rpc = 'rpc://127.0.0.1:1/x';
test.each([
  [['put', `sage:${queue}`, '--token-file', token], /--token-file is for rpc:/],
  [['get', rpc, '--token-file', '/missing'], /--token-file: \/missing cannot be read: ENOENT/],
  [['get', rpc, '--token-file', empty], /empty/],
  [['stat', rpc, '--tls-ca', noPem], /--tls-ca: .*no\.pem is no PEM file/],
  [['get', rpc, '--tls-cert', badPem], /go together/],
  [['serve', '--port', '0', '--tls-cert', '/missing.pem', '--tls-key', badPem], /\/missing\.pem cannot be read/],
  [['serve', '--port', '0', '--tls-cert', badPem, '--tls-key', badPem], /bad\.pem.*cannot be used/],
])('%j', async (args, message) => {
  const outcome = await command(args);
  expect(outcome).toMatchObject({ status: 2, stdout: Buffer.alloc(0) });
  expectOneLine(outcome.stderr, message);
});
