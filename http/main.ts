// Composition root of a node that serves HTTP: configuration, runtime, app, server, and the order in which they end.

import { randomUUID } from 'node:crypto';
import { type Config, type ConfigInput, resolveConfig } from '../runtime/config.ts';
import type { Logger } from '../runtime/contracts/ports.ts';
import type { TroupeRuntime } from '../runtime/contracts/runtime.ts';
import { createTroupe } from '../runtime/index.ts';
import { createLogger } from '../runtime/observe/logger.ts';
import { createApp } from './app.ts';
import { type Authenticate, createTokenAuthenticator, mintToken, type Role } from './auth.ts';
import { hostClock } from './host.ts';
import { checkSecret, resolveSecret } from './secret.ts';
import { type HttpServer, ListenError, type ServerOptions, startServer } from './server.ts';
import { packageVersion } from './version.ts';

/** A node that serves the API. */
export interface RunningNode {
  readonly runtime: TroupeRuntime;
  readonly config: Config;
  readonly log: Logger;
  readonly url: string;
  /** A token this node takes; undefined when an identity provider signs them. */
  token(role: Role, ttlMs: number): Promise<string | undefined>;
  /** Resolves when a shutdown over the API asked for the end of the process. */
  readonly exitAsked: Promise<void>;
  /** Drains, closes the server, stops the runtime. Idempotent. */
  stop(): Promise<void>;
}

export interface NodeOptions {
  readonly config?: ConfigInput;
  /** Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Takes a free port when the configured one is in use. */
  readonly anyPort?: boolean;
}

/**
 * Starts a node and serves it. The port opens when the runtime accepts work.
 * @throws RuntimeError `config_invalid`, `store_locked`, `store_foreign`, `store_unavailable` ...; ListenError when the port is taken.
 */
export async function startNode(options: NodeOptions = {}): Promise<RunningNode> {
  const config = resolveConfig(options.config, options.env ?? process.env);
  const log = createLogger(config);
  if (config.jwksUrl === undefined) checkSecret(config);
  const runtime = await createTroupe(config);
  // Only now: opening the store proved that the data folder is ours to write to.
  const secret = config.jwksUrl === undefined ? resolveSecret(config) : undefined;
  const closing = new AbortController();
  let askExit = (): void => {};
  const exitAsked = new Promise<void>((resolve) => {
    askExit = resolve;
  });
  const app = createApp(runtime, {
    authenticate: authenticator(config, secret),
    rateLimit: config.rateLimit,
    inspector: config.inspector,
    log: log.child({ part: 'http' }),
    version: packageVersion(),
    closing: closing.signal,
    onExit: askExit,
  });
  const server = await openServer(
    { fetch: app.fetch as never, host: config.host, port: config.port, closing },
    options,
  ).catch(async (error: unknown) => {
    await runtime.system.stop({ timeoutMs: 0 });
    throw error;
  });
  let stopped: Promise<void> | undefined;
  return {
    runtime,
    config,
    log,
    url: server.url,
    exitAsked,
    async token(role, ttlMs) {
      if (secret === undefined) return undefined;
      const { jwtIssuer: issuer, jwtAudience: audience } = config;
      const nowMs = hostClock.nowMs();
      return mintToken({
        secret,
        subject: 'local',
        tenant: 'default',
        role,
        ttlMs,
        issuer,
        audience,
        nowMs,
        tokenId: randomUUID(),
      });
    },
    stop() {
      stopped ??= stopAll(runtime, server, config.drainMs);
      return stopped;
    },
  };
}

async function openServer(server: ServerOptions, { anyPort }: NodeOptions): Promise<HttpServer> {
  try {
    return await startServer(server);
  } catch (error) {
    if (!anyPort || !(error instanceof ListenError)) throw error;
    return startServer({ ...server, port: 0 });
  }
}

/** However long the drain took, requests in hand get this long. */
const LEAST_CLOSE_MS = 5_000;

/** Reads are served while the work drains; then the streams end, then the rest. */
async function stopAll(runtime: TroupeRuntime, server: HttpServer, drainMs: number): Promise<void> {
  const until = hostClock.monotonicMs() + drainMs;
  server.wane();
  await runtime.system.drain({ timeoutMs: drainMs });
  await server.close({ timeoutMs: Math.max(LEAST_CLOSE_MS, until - hostClock.monotonicMs()) });
  await runtime.system.stop({ timeoutMs: drainMs });
}

function authenticator(config: Config, secret: string | undefined): Authenticate {
  const { jwtIssuer: issuer, jwtAudience: audience, jwksUrl, jwtAlgorithm } = config;
  const claims = { issuer, audience, nowMs: hostClock.nowMs };
  if (secret !== undefined) return createTokenAuthenticator({ ...claims, key: { type: 'secret', secret } });
  if (jwksUrl === undefined) throw new Error('neither a secret nor a key set');
  return createTokenAuthenticator({ ...claims, key: { type: 'jwks', url: jwksUrl, algorithm: jwtAlgorithm } });
}
