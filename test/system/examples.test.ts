// The examples do what they say, on the data they name.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as auction from '../../examples/auction.ts';
import * as consensus from '../../examples/consensus.ts';
import * as hierarchical from '../../examples/hierarchical.ts';
import * as parallel from '../../examples/parallel.ts';
import * as pipeline from '../../examples/pipeline.ts';
import * as sequential from '../../examples/sequential.ts';
import * as swarm from '../../examples/swarm.ts';
import type { Troupe } from '../../runtime/index.ts';
import { testTroupe } from '../kit/troupe.ts';

/** Of the capitals in the example, by dynamic programming over all subsets (Held and Karp). */
const SHORTEST_TOUR_KM = 14_214.848;

let troupe: Troupe;
beforeAll(async () => {
  troupe = await testTroupe({ agentRoots: [fileURLToPath(new URL('../../examples/agents', import.meta.url))] });
});
afterAll(() => troupe.stop());

it('sequential: what was found is quoted from the files, approved by a person and written up', async () => {
  const { prompt, found, markdown } = await sequential.run(troupe);
  expect(prompt).toBe('Are these the right passages?');
  const [best] = found.passages;
  const text = await readFile(new URL(`../../data/${best?.file}`, import.meta.url), 'utf8');
  expect(text).toContain(best?.quote);
  expect(markdown).toContain(best?.file);
});

it('parallel: the first result is enough, or every one that there is', async () => {
  const { first, all } = await parallel.run(troupe);
  expect(first.stopReason).toBe('join_satisfied');
  expect(first.states.filter((state) => state === 'completed')).toHaveLength(1);
  expect([741, 144, 1_461]).toContain(first.rows);
  expect(all).toMatchObject({ status: 'partial', rows: [741, 144, 1_461, null] });
});

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
    { task: 'co2', winner: 'flat-price', price: 60, secondPrice: 74.1 },
    { task: 'warming', winner: 'by-the-row', price: 14.4, secondPrice: 60 },
  ]);
  for (const { bids } of awards) expect(bids).toHaveLength(3);
  const rows = (await readFile(new URL('../../data/global-temperature.csv', import.meta.url), 'utf8'))
    .trim()
    .split('\n');
  expect(awards[2]?.result.rows).toBe(rows.length - 1);
  expect(awards[2]?.result.mean).toBeGreaterThan(awards[2]?.result.least ?? 0);
});

it('hierarchical: a report from documents and data, planned in two rounds around a file that is not there', async () => {
  const { result, plan } = await hierarchical.run(troupe);
  expect(plan.rounds.map(({ tasks }) => tasks.map(({ id, status }) => `${id} ${status}`))).toEqual([
    [
      'survey completed',
      'search-1 completed',
      'search-2 completed',
      'analyse-1-co2-concentration completed',
      'analyse-2-global-temperature completed',
      'analyse-3-no-such-file failed',
    ],
    ['report completed'],
  ]);
  expect(result.failed).toMatchObject([
    { id: 'analyse-3-no-such-file', reason: expect.stringContaining('no-such-file.csv') },
  ]);
  expect(result.report.markdown).toContain('README.md');
  expect(result.report.markdown).toMatch(/co2-concentration\.csv/);
});

it('pipeline: a report of every data set that exists, and a dead letter for the one that does not', async () => {
  const { items } = await pipeline.run(troupe);
  expect(items.map(({ status }) => status)).toEqual(['completed', 'completed', 'dead_letter', 'completed']);
  expect(items[2]?.error?.code).toBe('file_not_found');
  expect(items.map(({ stages }) => stages.analyse?.rows)).toEqual([741, 144, undefined, 1_461]);
  expect(items[1]?.result?.markdown).toContain('# global-temperature.csv');
  for (const { result } of items.filter(({ status }) => status === 'completed'))
    expect(result?.markdown.length).toBeGreaterThan(500);
});

it('swarm: the lowest point of a dented bowl, and the shortest tour through thirteen capitals', async () => {
  const { minimum, tour } = await swarm.run(troupe);
  expect(minimum.bestScore).toBeLessThan(0.1);
  for (const coordinate of minimum.best) expect(Math.abs(coordinate)).toBeLessThan(0.05);
  expect(new Set(tour.best).size).toBe(13);
  expect(tour.bestScore).toBeLessThan(SHORTEST_TOUR_KM * 1.02);
});
