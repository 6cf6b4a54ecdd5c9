// Modules that a node and each of its threads load before anything else, such as the SDK that takes their spans.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RuntimeError, toWireError } from '../contracts/errors.ts';

/** What a thread or node waits at most for what was loaded first to hand on what it holds. */
const FLUSH_MS = 2_000;

export interface Preloaded {
  /** Calls the `flush` of each module that exports one; never rejects, and waits 2 s at most. */
  flush(): Promise<void>;
}

/**
 * Loads them in their order: paths from the working directory, `file:` URLs or names of packages. A module may export `flush()`, which is
 * called when its thread or node ends in order.
 * @throws RuntimeError `config_invalid` naming the module that failed.
 */
export async function preload(modules: readonly string[]): Promise<Preloaded> {
  const flushes: (() => unknown)[] = [];
  for (const name of modules) {
    try {
      const { flush } = (await import(specifierOf(name))) as { readonly flush?: unknown };
      if (typeof flush === 'function') flushes.push(() => flush());
    } catch (error) {
      throw new RuntimeError(
        'config_invalid',
        `TROUPE_PRELOAD: ${name} cannot be loaded: ${toWireError(error).message}`,
        {
          details: { key: 'preload', variable: 'TROUPE_PRELOAD' },
          cause: error,
        },
      );
    }
  }
  return { flush: () => flushAll(flushes) };
}

function specifierOf(name: string): string {
  if (name.startsWith('file:')) return name;
  const path = resolve(name);
  return existsSync(path) ? pathToFileURL(path).href : name;
}

async function flushAll(flushes: readonly (() => unknown)[]): Promise<void> {
  if (flushes.length === 0) return;
  let cancel = (): void => {};
  const late = new Promise<void>((done) => {
    const timer = setTimeout(done, FLUSH_MS);
    cancel = () => clearTimeout(timer);
  });
  await Promise.race([Promise.allSettled(flushes.map(async (flush) => flush())), late]);
  cancel();
}
