// A whole node inside the test's process, on a database in memory, quick to notice things; and a patient look.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createTroupe, type Troupe, type TroupeOptions } from '../../runtime/index.ts';

const kitAgents = fileURLToPath(new URL('./actors/keeper.ts', import.meta.url));

export function testTroupe(options: TroupeOptions = {}): Promise<Troupe> {
  return createTroupe({
    dataDir: 'memory://',
    threads: 3,
    logLevel: 'silent',
    pollMs: 100,
    graceMs: 300,
    probe: true,
    agentRoots: [kitAgents],
    onExit: (code, why) => {
      throw new Error(`the node ended itself with ${code}: ${why}`);
    },
    ...options,
  });
}

/** Resolves with the first answer that is not undefined or false; rejects when there is none in time. */
export async function eventually<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 30_000,
): Promise<T> {
  const until = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > until) throw new Error(`not seen within ${limitMs} ms: ${look.toString()}`);
    await sleep(20);
  }
}
