// How hosts run in Piscina: its options, and what its errors mean.

import { Piscina } from 'piscina';
import type { ThreadPoolOptions } from '../contracts/ports.ts';
import type { DownReason } from './thread-handle.ts';

/** Threads Piscina may hold; hosts are never queued. */
const MAX_THREADS = 4_096;

export function reasonOf(error: unknown): DownReason {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return 'out_of_memory';
  return typeof message === 'string' && message.startsWith('worker exited') ? 'exited' : 'threw';
}

/** The same entry file in development (tsx) and from dist. `execArgv` is pinned, so that flags of a test runner stay out. */
export function createPiscina({ maxOldGenerationSizeMb, env }: ThreadPoolOptions): Piscina {
  const typescript = import.meta.url.endsWith('.ts');
  const entry = new URL(`../thread/entry.${typescript ? 'ts' : 'js'}`, import.meta.url);
  const kept: Record<string, string> = { ...env };
  for (const name of ['NODE_ENV', 'TZ', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] ??= value;
  }
  return new Piscina({
    filename: entry.href,
    name: 'host',
    atomics: 'disabled',
    minThreads: 0,
    maxThreads: MAX_THREADS,
    idleTimeout: 0,
    concurrentTasksPerWorker: 1,
    recordTiming: false,
    resourceLimits: { maxOldGenerationSizeMb },
    env: kept,
    execArgv: typescript ? ['--import', new URL('./register-typescript.mjs', import.meta.url).href] : [],
  });
}
