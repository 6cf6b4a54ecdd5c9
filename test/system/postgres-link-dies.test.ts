// Every way in which the links to PostgreSQL fail, of both nodes or of one, under work on them: requests are refused and said again under
// their key, nothing that was accepted is lost, and an answer that never came hides neither a loss nor a second effect.
// The commonest faults once each here, in an order of the seed; TROUPE_OUTAGES=50 (npm run outages) is every fault as often.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { probe } from '../kit/http-load.ts';
import { OutageRig } from '../kit/outage-rig.ts';
import type { Trouble } from '../kit/tcp-proxy.ts';

const long = process.env.TROUPE_OUTAGES !== undefined;
const rounds = Number(process.env.TROUPE_OUTAGES ?? 1);
const seed = Number(process.env.TROUPE_SEED ?? 1);
/** A query (7 s), the wait for a connection (3 s), and what a busy machine adds. */
const REQUEST_LIMIT_MS = 12_000;
/** Longer than any fault: whose link heals first would rightly take the work of the other. */
const LEASE_MS = 20_000;
const RECOVERED_MS = 10_000;
/** A start whose answer was lost with the database, asked for again. */
const REPEATED = 409;
const LIMIT_MS = 120_000 + rounds * 120_000;

let rig: OutageRig;
beforeAll(async () => {
  const env = { TROUPE_LEASE_MS: String(LEASE_MS), TROUPE_POLL_MS: '200' };
  rig = await OutageRig.start({ seed, requestLimitMs: REQUEST_LIMIT_MS, env });
}, LIMIT_MS);
afterAll(() => rig?.stop(), LIMIT_MS);

interface Fault {
  readonly name: string;
  readonly trouble: Trouble;
  readonly holdMs: number;
  /** Work goes on meanwhile, if slower. */
  readonly works?: boolean;
  /** Of this node only; the other one goes on. */
  readonly node?: number;
  /** Only in the long version. */
  readonly seldom?: boolean;
}

const COMMIT = (chunk: Buffer): boolean => chunk.includes('COMMIT');
const chance = (share: number): boolean => rig.random() < share;

const FAULTS: readonly Fault[] = [
  {
    name: 'slowed by 50 ms',
    trouble: { type: 'delay', ms: 50, way: 'down' },
    holdMs: 1_000,
    works: true,
    seldom: true,
  },
  { name: 'slowed by 500 ms', trouble: { type: 'delay', ms: 500, way: 'down' }, holdMs: 2_000, works: true },
  { name: 'slowed beyond a query', trouble: { type: 'delay', ms: 8_000, way: 'down' }, holdMs: 8_000, seldom: true },
  { name: 'a black hole, shorter than a query', trouble: { type: 'black-hole' }, holdMs: 3_000, seldom: true },
  { name: 'a black hole, longer than a query', trouble: { type: 'black-hole' }, holdMs: 7_600 },
  { name: 'a black hole of one node', trouble: { type: 'black-hole' }, holdMs: 3_000, node: 0, seldom: true },
  { name: 'deaf', trouble: { type: 'black-hole', way: 'down' }, holdMs: 2_000, seldom: true },
  { name: 'reset again and again', trouble: { type: 'reset' }, holdMs: 1_000, seldom: true },
  { name: 'half open', trouble: { type: 'half-open' }, holdMs: 1_000, seldom: true },
  {
    name: 'cut in the middle of an answer',
    trouble: { type: 'truncate', afterBytes: 300, way: 'down' },
    holdMs: 1_000,
    seldom: true,
  },
  {
    name: 'reset after the commit has left',
    trouble: { type: 'reset-on', holds: (chunk, way) => way === 'up' && COMMIT(chunk), forward: true },
    holdMs: 1_500,
  },
  {
    name: 'reset before the commit',
    trouble: { type: 'reset-on', holds: (chunk, way) => way === 'up' && COMMIT(chunk), forward: false },
    holdMs: 1_000,
    seldom: true,
  },
  {
    name: 'reset after some statements have left',
    trouble: { type: 'reset-on', holds: (_chunk, way) => way === 'up' && chance(0.1), forward: true },
    holdMs: 1_500,
    works: true,
  },
  {
    name: 'reset instead of some answers',
    trouble: { type: 'reset-on', holds: (_chunk, way) => way === 'down' && chance(0.1), forward: false },
    holdMs: 1_500,
    works: true,
    seldom: true,
  },
];

const shuffled = (): Fault[] =>
  FAULTS.filter(({ seldom }) => long || !seldom)
    .map((fault) => ({ fault, at: rig.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ fault }) => fault);

/** Milliseconds until every node is ready and takes work of every kind. */
async function recovery(): Promise<number> {
  const healedAt = performance.now();
  for (const { process } of rig.nodes)
    await eventually(async () => (await probe(process, '/readyz')).status === 200, 'a node to be ready again');
  await rig.underLoad();
  return Math.round(performance.now() - healedAt);
}

test('whatever becomes of the links to PostgreSQL, what was accepted is done once by effect and every request is answered', {
  timeout: LIMIT_MS,
}, async ({ onTestFailed }) => {
  onTestFailed(() => console.log(rig.output));
  const recoveries: Record<string, number> = {};
  const strikes: Record<string, number> = {};
  const struck = (): number => rig.nodes.reduce((sum, { postgres }) => sum + postgres.strikes, 0);
  for (let round = 0; round < rounds; round++) {
    for (const { name, trouble, holdMs, works, node } of shuffled()) {
      await rig.underLoad();
      const before = struck();
      rig.trouble('postgres', trouble, node);
      await Promise.all([sleep(holdMs), works ? rig.underLoad() : undefined]);
      // The process lives and says so, whatever else it cannot say.
      for (const { process } of rig.nodes) expect((await probe(process, '/livez')).status).toBe(200);
      rig.heal();
      const recoveryMs = await recovery();
      recoveries[name] = Math.max(recoveries[name] ?? 0, recoveryMs);
      strikes[name] = (strikes[name] ?? 0) + struck() - before;
    }
  }
  console.log(JSON.stringify({ recoveries, strikes, ...(await rig.expectCleanBooks([503, REPEATED])) }));
  // Where the machine is shared with other tests it says more about them.
  if (long) for (const [name, ms] of Object.entries(recoveries)) expect(ms, name).toBeLessThan(RECOVERED_MS);
  // A fault that strikes nothing proves nothing.
  for (const { name, trouble } of shuffled())
    if (trouble.type.startsWith('reset')) expect(strikes[name], name).toBeGreaterThan(0);
});
