// Far more messages than their addressee can take: its senders hear of every one that was not taken, memory stays bounded, none is lost
// without a word. TROUPE_FLOOD=1000000 (npm run flood) is the long version.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { testTroupe } from '../kit/troupe.ts';

const FLOOD = Number(process.env.TROUPE_FLOOD ?? 20_000);
const TALLY = fileURLToPath(new URL('../kit/agents/tally.mjs', import.meta.url));
/** Of senders that wait for the answer to each of theirs. */
const SENDERS = 4_096;
/** The same for every size of the flood. */
const MOST_GROWTH_BYTES = 400 * 1024 * 1024;
const LIMIT_MS = 120_000 + FLOOD / 5;

let troupe: Troupe;
beforeAll(async () => {
  troupe = await testTroupe({ agentRoots: [TALLY] });
});
afterAll(() => troupe.stop());

test('sent is handled and refused, and every refusal is a dead letter', { timeout: LIMIT_MS }, async () => {
  // A node that took long to start renews its lease first.
  const { id } = await eventually(() => troupe.agents.spawn('tally').catch(() => undefined), 'an agent');
  const before = process.memoryUsage().rss;
  let peak = before;
  let next = 0;
  const ends = new Map<string, number>();
  const count = (end: string): void => void ends.set(end, (ends.get(end) ?? 0) + 1);
  const sender = async (): Promise<void> => {
    while (next < FLOOD) {
      next += 1;
      if (next % 1_000 === 0) peak = Math.max(peak, process.memoryUsage().rss);
      const result = await troupe.agents.tell(id, 'add', { lane: 'flood', n: 0, slowMs: 1 });
      count(result.outcome === 'delivered' ? 'delivered' : `${result.outcome}: ${result.reason}`);
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
  const delivered = ends.get('delivered') ?? 0;
  const refused = [...ends].filter(([end]) => end.startsWith('refused')).reduce((sum, [, n]) => sum + n, 0);
  // All of the ends are one of two, and both have come up.
  expect(delivered + refused).toBe(FLOOD);
  expect(refused).toBeGreaterThan(0);
  // Those that were taken are handled, every one of them.
  await eventually(
    async () => {
      const state = await troupe.agents.ask(id, 'read', null, { timeoutMs: 5_000 }).catch(() => undefined);
      return (state as { count: number } | undefined)?.count === delivered;
    },
    'all that was taken to be handled',
    LIMIT_MS,
  );
  const { deadLetters } = troupe.messages.statistics();
  const letters = Object.values(deadLetters).reduce((sum, n) => sum + n, 0);
  console.log(JSON.stringify({ ends: [...ends], deadLetters, growthMb: Math.round((peak - before) / 1_048_576) }));
  // The questions of this test may have been refused too while its mailbox was full.
  expect(letters).toBeGreaterThanOrEqual(refused);
  expect(peak - before).toBeLessThan(MOST_GROWTH_BYTES);
});
