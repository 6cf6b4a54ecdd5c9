// A node whose threads take longer to start than its lease lasts.

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { testTroupe } from '../kit/troupe.ts';

test('a node that was slow to start has a lease when it has started', async () => {
  const slow = fileURLToPath(new URL('../kit/slow-thread.mjs', import.meta.url));
  const troupe = await testTroupe({ threads: 1, leaseMs: 1_000, preload: [slow] });
  try {
    const agent = await troupe.agents.spawn('probe');
    expect(agent.id).toMatch(/^agt_/);
  } finally {
    await troupe.stop();
  }
});
