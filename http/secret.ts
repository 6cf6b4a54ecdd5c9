// The HS256 secret of a node: configured, or made once in the data folder, for loopback only.

import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Config } from '../runtime/config.ts';
import { RuntimeError } from '../runtime/contracts/errors.ts';

const FILE = 'jwt-secret';
const MIN_CHARS = 32;

type SecretConfig = Pick<Config, 'host' | 'dataDir' | 'jwtSecret'>;

/**
 * The secret to sign and check tokens with.
 * @throws RuntimeError `config_invalid` when none is configured and the server would be reachable from other machines.
 */
export function resolveSecret(config: SecretConfig): string {
  checkSecret(config);
  return config.jwtSecret ?? readMadeSecret(config.dataDir) ?? makeSecret(config.dataDir);
}

/** The check alone, before anything is opened or written. */
export function checkSecret(config: SecretConfig): void {
  if (config.jwtSecret === undefined && !isLoopback(config.host))
    throw new RuntimeError(
      'config_invalid',
      `TROUPE_HOST=${config.host} is reachable from other machines: set TROUPE_JWT_SECRET (32 characters or more) or TROUPE_JWKS_URL`,
      { details: { key: 'jwtSecret', variable: 'TROUPE_JWT_SECRET' } },
    );
}

/** The secret that an earlier start made in this folder, if there is one. */
export function readMadeSecret(dataDir: string): string | undefined {
  try {
    const secret = readFileSync(join(dataDir, FILE), 'utf8').trim();
    return secret.length >= MIN_CHARS ? secret : undefined;
  } catch {
    return undefined;
  }
}

/** Whether only this machine can reach a server bound to this address. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}

function makeSecret(dataDir: string): string {
  const secret = randomBytes(32).toString('base64url');
  if (dataDir.startsWith('memory://')) return secret;
  const path = join(dataDir, FILE);
  refuseForeign(dataDir);
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    // `wx`: of two processes that start at once one makes it and the other reads it.
    writeFileSync(path, `${secret}\n`, { flag: 'wx', mode: 0o600 });
    chmodSync(path, 0o600);
    return secret;
  } catch (cause) {
    const made = readMadeSecret(dataDir);
    if (made !== undefined) return made;
    throw new RuntimeError('config_invalid', `TROUPE_DATA_DIR=${dataDir} cannot hold the token secret (${path})`, {
      cause,
    });
  }
}

/** What lies in a folder that a node uses or may use: its own files, secrets, dot files. */
const OURS = /^(troupe\..*|database|\..*|.*(secret|token|key|credential).*)$/i;

/** Asking for a token must not write into somebody else's folder. A node has proved before that the folder is its own. */
function refuseForeign(dataDir: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(dataDir);
  } catch {
    return; // Not there yet, or no folder: making it tells.
  }
  if (names.includes('troupe.json')) return;
  const stranger = names.find((name) => !OURS.test(name));
  if (stranger === undefined) return;
  throw new RuntimeError(
    'store_foreign',
    `the data folder ${dataDir} is not used: it is not empty (${stranger}) and was not made by Troupe`,
    { details: { dataDir } },
  );
}
