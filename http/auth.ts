// Who asks: bearer tokens (JWT, RFC 7519 under the advice of RFC 8725) checked with a secret or an identity provider's key set.

import { createRemoteJWKSet, decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { EdgeError } from './problem.ts';

/** `viewer` reads; `operator` also works; `admin` also removes, initialises and shuts down; `service` is a machine that may what an operator may. */
export const ROLES = ['viewer', 'operator', 'admin', 'service'] as const;
export type Role = (typeof ROLES)[number];

export interface Principal {
  readonly subject: string;
  readonly tenant: string;
  readonly role: Role;
  /** Streams of this caller end then. */
  readonly expiresAtMs?: number;
}

/** Null: nobody we know (401). Throw only when it cannot be told. */
export type Authenticate = (request: Request) => Promise<Principal | null>;

/** Signature algorithms an identity provider may use; exactly one is accepted. */
export type KeySetAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

export interface TokenOptions {
  readonly key:
    | { readonly type: 'secret'; readonly secret: string }
    | { readonly type: 'jwks'; readonly url: string; readonly algorithm: KeySetAlgorithm };
  readonly issuer: string;
  readonly audience: string;
  readonly nowMs: () => number;
}

const MAX_TOKEN_CHARS = 8_192;
const CLOCK_TOLERANCE_S = 5;
const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *$/i;
const PLAIN_CLAIM = /^[\w.@:+-]{1,200}$/;
/** Headers that point at a key of the sender's choice. */
const KEY_HEADERS = ['jku', 'jwk', 'x5u', 'x5c'] as const;

/** Checks `Authorization: Bearer`. Everything that is wrong with a token is null, without saying what. */
export function createTokenAuthenticator(options: TokenOptions): Authenticate {
  const check = createCheck(options);
  return async (request) => {
    const header = request.headers.get('authorization');
    const token = header && header.length <= MAX_TOKEN_CHARS ? BEARER.exec(header)?.[1] : undefined;
    if (token === undefined || !headerIsSane(token)) return null;
    try {
      return principalOf(await check(token), options);
    } catch (error) {
      if (isUnavailable(error))
        throw new EdgeError('identity_provider_unavailable', 'The key set of the identity provider cannot be read.');
      if (error instanceof errors.JOSEError || error instanceof TypeError) return null;
      throw error;
    }
  };
}

function createCheck({ key, issuer, audience, nowMs }: TokenOptions): (token: string) => Promise<JWTPayload> {
  const claims = {
    issuer,
    audience,
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['exp', 'iat', 'sub', 'tenant', 'jti'],
  };
  const verifyOptions = (algorithm: string) => ({ ...claims, algorithms: [algorithm], currentDate: new Date(nowMs()) });
  if (key.type === 'secret') {
    const secret = new TextEncoder().encode(key.secret);
    return async (token) => (await jwtVerify(token, secret, verifyOptions('HS256'))).payload;
  }
  // Unknown key ids do not fetch the set again and again: jose waits for the cool-down.
  const keys = createRemoteJWKSet(new URL(key.url), { cooldownDuration: 30_000, timeoutDuration: 5_000 });
  return async (token) => (await jwtVerify(token, keys, verifyOptions(key.algorithm))).payload;
}

function headerIsSane(token: string): boolean {
  try {
    const header = decodeProtectedHeader(token);
    if (KEY_HEADERS.some((name) => name in header)) return false;
    return header.typ === undefined || header.typ === 'JWT' || header.typ === 'at+jwt';
  } catch {
    return false;
  }
}

function principalOf(payload: JWTPayload, { audience, nowMs }: TokenOptions): Principal | null {
  const { sub, tenant, role, exp, iat, jti, aud } = payload;
  if (typeof sub !== 'string' || typeof tenant !== 'string' || typeof jti !== 'string') return null;
  if (!PLAIN_CLAIM.test(sub) || !PLAIN_CLAIM.test(tenant)) return null;
  if (!Number.isSafeInteger(exp) || !Number.isSafeInteger(iat) || exp === undefined || iat === undefined) return null;
  if (iat > nowMs() / 1_000 + CLOCK_TOLERANCE_S) return null;
  // A token for several audiences can be replayed by any of them.
  if (Array.isArray(aud) ? aud.length !== 1 || aud[0] !== audience : aud !== audience) return null;
  if ('roles' in payload || typeof role !== 'string' || !isRole(role)) return null;
  return { subject: sub, tenant, role, expiresAtMs: exp * 1_000 };
}

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return true;
  // What the fetch itself throws, and jose's word for an answer other than 200.
  if (error instanceof TypeError) return error.message === 'fetch failed';
  return error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC';
}

export interface MintOptions {
  readonly secret: string;
  readonly subject: string;
  readonly tenant: string;
  readonly role: Role;
  readonly ttlMs: number;
  readonly issuer: string;
  readonly audience: string;
  readonly nowMs: number;
  readonly tokenId: string;
}

/** A token that {@link createTokenAuthenticator} takes. */
export function mintToken(options: MintOptions): Promise<string> {
  const nowS = Math.floor(options.nowMs / 1_000);
  return new SignJWT({ tenant: options.tenant, role: options.role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(options.subject)
    .setIssuer(options.issuer)
    .setAudience(options.audience)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + Math.max(1, Math.floor(options.ttlMs / 1_000)))
    .setJti(options.tokenId)
    .sign(new TextEncoder().encode(options.secret));
}
