/** `sage-queue serve`: a shared-memory queue behind a port, used from the command line on both sides. */
import { run, serving } from './serving';

test('what goes in by rpc:// comes out by sage:, and the reverse', async () => {
  const name = `serve.${process.pid}`;
  await serving(['--queue', `jobs=sage:${name}`], (address) => {
    expect(run(['put', `${address}jobs`], 'one\ntwo\n')).toMatchObject({ status: 0, stderr: '' });
    expect(run(['get', `sage:${name}`, '--count', '2'])).toMatchObject({ status: 0, stdout: 'one\ntwo\n' });
    expect(run(['put', `sage:${name}`], 'three\n').status).toBe(0);
    expect(run(['get', `${address}jobs`, '--count', '1'])).toMatchObject({ status: 0, stdout: 'three\n' });
  });
});

test('a queue that is not served is refused by name', async () => {
  await serving(['--queue', `jobs=sage:serve.${process.pid}`], (address) => {
    const refused = run(['get', `${address}other`, '--count', '1', '--timeout-ms', '5000']);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('other');
  });
});

test('wrong command lines say what was expected', () => {
  expect(run(['serve'])).toMatchObject({ status: 2 });
  expect(run(['serve', '--port', '0', '--queue', 'nothing']).stderr).toContain('ID=QUEUE');
  expect(run(['serve', '--port', '0', '--tls-cert', 'x']).stderr).toContain('go together');
  const twice = run(['serve', '--port', '0', '--queue', 'a=sage:a', '--queue', 'a=sage:b']);
  expect(twice).toMatchObject({ status: 2, stderr: expect.stringContaining('--queue a=') });
  const beyond = run(['serve', '--port', '0', '--host', '0.0.0.0']);
  expect(beyond.status).toBe(1);
  expect(beyond.stderr).toMatch(/Give --tls-cert F --tls-key F, or --allow-plaintext-beyond-loopback /);
});

test('an error of the queue behind the server is told with one code', async () => {
  await serving([], (address) => {
    const { stderr } = run(['put', `${address}a%2Fb`], 'x\n');
    expect(stderr.match(/ERR_[A-Z_]+/g)).toEqual(['ERR_SEGMENT_NAME']);
    expect(stderr).toMatch(/[.!?] The 0 items before it were put/);
  });
});
