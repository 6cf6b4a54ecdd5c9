// Tokens that must not open anything, and the one that does.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { afterAll, describe, expect, test } from 'vitest';
import { createTokenAuthenticator } from '../../http/auth.ts';
import { START_MS, TEST_SECRET, testApi } from '../kit/api-client.ts';

const key = (secret: string): Uint8Array => new TextEncoder().encode(secret);
const NOW = START_MS / 1_000;
const CLAIMS = {
  sub: 'ann',
  tenant: 'default',
  role: 'admin',
  jti: 'j1',
  iss: 'troupe',
  aud: 'troupe',
  iat: NOW,
  exp: NOW + 3_600,
};

const sign = (claims: object, header: object = {}, secret = TEST_SECRET): Promise<string> =>
  new SignJWT({ ...CLAIMS, ...claims }).setProtectedHeader({ alg: 'HS256', typ: 'JWT', ...header }).sign(key(secret));
const without = (claim: string): Promise<string> =>
  new SignJWT(Object.fromEntries(Object.entries(CLAIMS).filter(([name]) => name !== claim)))
    .setProtectedHeader({ alg: 'HS256' })
    .sign(key(TEST_SECRET));
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const unsigned = (alg: string): string => `${part({ alg, typ: 'JWT' })}.${part(CLAIMS)}.`;
const good = await sign({});
const flip = (token: string): string => `${token.slice(0, -2)}${token.endsWith('A_') ? 'B_' : 'A_'}`;

const status = async (authorization: string | undefined, path = '/api/agents/list'): Promise<number> => {
  const api = testApi();
  const response = await api(`GET ${path}`, {
    role: null,
    headers: authorization === undefined ? {} : { authorization },
  });
  expect(api.runtime.calls.length).toBe(response.status === 200 ? 1 : 0);
  return response.status;
};

test('the good token opens', async () => {
  expect(await status(`Bearer ${good}`)).toBe(200);
  expect(await status(`bearer ${good}`)).toBe(200);
});

describe('401', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const cases: readonly (readonly [name: string, authorization: () => Promise<string> | string | undefined])[] = [
    ['no header', () => undefined],
    ['Basic', () => 'Basic YW5uOmFubg=='],
    ['an empty Bearer', () => 'Bearer '],
    ['alg none', () => `Bearer ${unsigned('none')}`],
    ['alg None', () => `Bearer ${unsigned('None')}x`],
    ['alg nOnE', () => `Bearer ${unsigned('nOnE')}AA`],
    ['a public key as the secret', async () => `Bearer ${await sign({}, {}, pem)}`],
    ['HS512 with the same secret', async () => `Bearer ${await sign({}, { alg: 'HS512' })}`],
    ['expired', async () => `Bearer ${await sign({ iat: NOW - 7_200, exp: NOW - 60 })}`],
    ['no exp', async () => `Bearer ${await without('exp')}`],
    ['exp as a text', async () => `Bearer ${await sign({ exp: 'tomorrow' })}`],
    ['exp 1e308', async () => `Bearer ${await sign({ exp: 1e308 })}`],
    ['exp negative', async () => `Bearer ${await sign({ exp: -1 })}`],
    ['nbf in the future', async () => `Bearer ${await sign({ nbf: NOW + 600 })}`],
    ['iat in the future', async () => `Bearer ${await sign({ iat: NOW + 600, exp: NOW + 900 })}`],
    ['no iat', async () => `Bearer ${await without('iat')}`],
    ['another audience', async () => `Bearer ${await sign({ aud: 'evil' })}`],
    ['several audiences, the other first', async () => `Bearer ${await sign({ aud: ['evil', 'troupe'] })}`],
    ['no audience', async () => `Bearer ${await without('aud')}`],
    ['another issuer', async () => `Bearer ${await sign({ iss: 'evil' })}`],
    ['no tenant', async () => `Bearer ${await without('tenant')}`],
    ['no subject', async () => `Bearer ${await without('sub')}`],
    ['no jti', async () => `Bearer ${await without('jti')}`],
    ['a tenant that is a list', async () => `Bearer ${await sign({ tenant: ['default'] })}`],
    ['a tenant with a line break', async () => `Bearer ${await sign({ tenant: 'a\nb' })}`],
    ['no role', async () => `Bearer ${await without('role')}`],
    ['an unknown role', async () => `Bearer ${await sign({ role: 'root' })}`],
    ['a role that is a list', async () => `Bearer ${await sign({ role: ['viewer', 'admin'] })}`],
    ['roles beside the role', async () => `Bearer ${await sign({ roles: '*' })}`],
    ['jku', async () => `Bearer ${await sign({}, { jku: 'https://evil.example/keys' })}`],
    ['x5u', async () => `Bearer ${await sign({}, { x5u: 'https://evil.example/cert' })}`],
    ['jwk', async () => `Bearer ${await sign({}, { jwk: { kty: 'oct', k: 'eA' } })}`],
    ['crit', () => `Bearer ${part({ alg: 'HS256', crit: ['x'], x: 1 })}.${part(CLAIMS)}.${good.split('.')[2]}`],
    ['the type of an id token', async () => `Bearer ${await sign({}, { typ: 'id+jwt' })}`],
    ['a flipped signature', () => `Bearer ${flip(good)}`],
    ['another secret', async () => `Bearer ${await sign({}, {}, 'another secret that is as long as it')}`],
    [
      'changed claims',
      () => `Bearer ${good.split('.')[0]}.${part({ ...CLAIMS, tenant: 'theirs' })}.${good.split('.')[2]}`,
    ],
    ['cut off', () => `Bearer ${good.slice(0, 60)}`],
    ['four parts', () => `Bearer ${good}.x`],
    ['five parts (JWE)', () => `Bearer ${part({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 1e9 })}.a.b.c.d`],
    ['padding', () => `Bearer ${good}=`],
    ['twice', () => `Bearer ${good}, Bearer ${good}`],
    ['1 MB', () => `Bearer ${'a'.repeat(1_000_000)}.b.c`],
  ];
  test.each(cases)('%s', async (_name, authorization) => {
    expect(await status(await authorization())).toBe(401);
  });

  test('a token in the query', async () => {
    expect(await status(undefined, `/api/agents/list?access_token=${good}`)).toBe(401);
  });

  test('says invalid_token when there was one, and never why', async () => {
    const { headers, body } = await testApi().json('GET /api/agents/list', {
      role: null,
      headers: { authorization: 'Bearer a.b.c' },
    });
    expect(headers.get('www-authenticate')).toBe('Bearer realm="troupe", error="invalid_token"');
    expect(body.detail).toBe('Send a valid token: Authorization: Bearer <token>.');
  });
});

describe('with the key set of an identity provider', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  let fetches = 0;
  let broken = false;
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const provider = createServer((_request, response) => {
    fetches++;
    response.writeHead(broken ? 500 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  afterAll(() => provider.close());
  const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/keys`;
  const authenticator = () =>
    createTokenAuthenticator({
      key: { type: 'jwks', url, algorithm: 'RS256' },
      issuer: 'troupe',
      audience: 'troupe',
      nowMs: () => START_MS,
    });
  const ask = (authenticate: ReturnType<typeof authenticator>, token: string) =>
    authenticate(new Request('http://x/', { headers: { authorization: `Bearer ${token}` } }));
  const rs = (kid: string | undefined) =>
    new SignJWT(CLAIMS).setProtectedHeader({ alg: 'RS256', ...(kid === undefined ? {} : { kid }) }).sign(privateKey);

  test('takes its tokens', async () => {
    expect(await ask(authenticator(), await rs('k1'))).toMatchObject({
      subject: 'ann',
      tenant: 'default',
      role: 'admin',
    });
  });

  test.each(['../../dev/null', "' UNION SELECT 'k", 'k2'])('refuses the key id %s', async (kid) => {
    expect(await ask(authenticator(), await rs(kid))).toBeNull();
  });

  test('refuses HS256 signed with its public key', async () => {
    const pem = await exportSPKI(publicKey);
    const token = await new SignJWT(CLAIMS).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(key(pem));
    expect(await ask(authenticator(), token)).toBeNull();
  });

  test('does not fetch the set for every unknown key id', async () => {
    const authenticate = authenticator();
    const before = fetches;
    for (let at = 0; at < 50; at++) await ask(authenticate, await rs(`unknown-${at}`));
    expect(fetches - before).toBeLessThanOrEqual(2);
  });

  test('says 503 when the set cannot be read', async () => {
    broken = true;
    await expect(ask(authenticator(), await rs('k1'))).rejects.toMatchObject({ code: 'identity_provider_unavailable' });
    broken = false;
  });
});
