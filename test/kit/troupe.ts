// A whole node inside the test's process, on a database in memory, quick to notice things.

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
