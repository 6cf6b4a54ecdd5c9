// The examples do what they say, on the data they name.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as auction from '../../examples/auction.ts';
import * as consensus from '../../examples/consensus.ts';
import type { Troupe } from '../../runtime/index.ts';
import { testTroupe } from '../kit/troupe.ts';

let troupe: Troupe;
beforeAll(async () => {
  troupe = await testTroupe({ agentRoots: [fileURLToPath(new URL('../../examples/agents', import.meta.url))] });
});
afterAll(() => troupe.stop());

it('consensus: the median of five methods, without the one that looks at ten years only', async () => {
  const { decision, agreement, dissent, votes } = await consensus.run(troupe);
  const estimates = Object.fromEntries(votes.map(({ ballot, answer }) => [answer.method, ballot]));
  expect(estimates).toEqual({
    leastSquares: 0.079,
    medianOfSlopes: 0.079,
    halves: 0.074,
    firstAndLast: 0.094,
    lastTen: 0.206,
  });
  expect({ decision, agreement }).toEqual({ decision: 0.079, agreement: 0.8 });
  expect(dissent.map(({ ballot }) => ballot)).toEqual([estimates.lastTen]);
});

it('auction: each data set is surveyed by whoever is the cheapest for it', async () => {
  const awards = await auction.run(troupe);
  const seen = awards.map(({ task, price, secondPrice, bids }) => {
    const winner = bids.find(({ outcome }) => outcome === 'won')?.name;
    return { task, winner, price, secondPrice };
  });
  expect(seen).toEqual([
    { task: 'weather', winner: 'specialist', price: 14.61, secondPrice: 60 },
    { task: 'co2', winner: 'flat-price', price: 60, secondPrice: expect.closeTo(74.1) },
    { task: 'warming', winner: 'by-the-row', price: expect.closeTo(14.4), secondPrice: 60 },
  ]);
  for (const { bids } of awards) expect(bids).toHaveLength(3);
  const rows = (await readFile(new URL('../../data/global-temperature.csv', import.meta.url), 'utf8'))
    .trim()
    .split('\n');
  expect(awards[2]?.result.rows).toBe(rows.length - 1);
  expect(awards[2]?.result.mean).toBeGreaterThan(awards[2]?.result.least ?? 0);
});
