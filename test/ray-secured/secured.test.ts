/** A real cluster with TLS both ways and a token: who has both gets in, and everybody else is told what is missing. */
import { readFileSync } from 'node:fs';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { QueueConnectionError } from '../../lib/errors';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import type { RayCredentials } from '../../lib/transports/ray/client/grpc';
import { resolveDescriptor } from '../../lib/resolve/registry';
import { freshName, killActors, rayAddress } from '../ray-cluster/cluster';

const pem = (variable: string): string => readFileSync(process.env[variable]!, 'utf8');
const right: RayCredentials = {
  ca: pem('RAY_TLS_CA_CERT'),
  cert: pem('RAY_TLS_SERVER_CERT'),
  key: pem('RAY_TLS_SERVER_KEY'),
  token: process.env.RAY_AUTH_TOKEN,
};

/** Runs with these variables of Ray's instead of those that there are. */
async function withVariables<T>(variables: NodeJS.ProcessEnv, action: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  try {
    return await action();
  } finally {
    process.env = before;
  }
}

const nothing = { RAY_USE_TLS: undefined, RAY_AUTH_MODE: undefined };

async function refusal(credentials: RayCredentials): Promise<Error> {
  const began = performance.now();
  const outcome = await withVariables(nothing, () => RayClient.connect({ address: rayAddress(), credentials })).then(
    async (client) => {
      await client.close();
      throw new Error('It was let in.');
    },
    (error: Error) => error,
  );
  expect(outcome).toBeInstanceOf(QueueConnectionError);
  expect(performance.now() - began).toBeLessThan(15_000);
  return outcome;
}

test.each(['variables', 'options'])('a queue over TLS and with the token, from the %s', async (from) => {
  const name = freshName('secured');
  const descriptor = QueueDescriptor.createRayQueue(name, { address: rayAddress() });
  const credentials = from === 'options' ? right : undefined;
  await withVariables(from === 'options' ? nothing : {}, async () => {
    const queue = resolveDescriptor(descriptor, { credentials });
    await queue.putMany(['é', { n: 1 }]);
    expect(await queue.getMany(2)).toEqual(['é', { n: 1 }]);
    await queue.close();
    const client = await RayClient.connect({ address: rayAddress(), credentials });
    await killActors(client, [name]);
    await client.close();
  });
});

test('without TLS', async () => {
  // Always a QueueConnectionError, and in less than half the time to connect.
  expect((await refusal({ token: right.token })).message).toMatch(/does the cluster use TLS\?/);
});

test('without a certificate of the client', async () => {
  expect((await refusal({ ca: right.ca, token: right.token })).message).toMatch(
    /client's certificate .* of which there is none/,
  );
});

test('with an authority that did not sign the certificate of the cluster', async () => {
  expect((await refusal({ ...right, ca: pem('STRANGER_CA_CERT') })).message).toMatch(/TLS with .* failed/);
});

// Ray has tokens from 2.52 on.
const withTokens = process.env.RAY_AUTH_MODE === 'token' ? test.each : test.skip.each;
withTokens([
  ['no token', undefined],
  ['a wrong token', 'f'.repeat(64)],
])('with %s', async (_, token) => {
  expect((await refusal({ ...right, token })).message).toMatch(/did not accept the token/);
});
