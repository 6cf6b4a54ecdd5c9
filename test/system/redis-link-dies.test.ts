// Every way in which Redis and the link to it fail, under two nodes with work on them: it is felt as latency between nodes and nothing else.
// The commonest faults once each here, in an order of the seed; TROUPE_OUTAGES=50 (npm run outages) is every fault as often.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { call, tokenFor } from '../kit/node-process.ts';
import { OutageRig, type RigNode } from '../kit/outage-rig.ts';
import type { Fate } from '../kit/tcp-proxy.ts';

const long = process.env.TROUPE_OUTAGES !== undefined;
const rounds = Number(process.env.TROUPE_OUTAGES ?? 1);
const seed = Number(process.env.TROUPE_SEED ?? 1);
const REQUEST_LIMIT_MS = 6_000;
/** Of a task that goes over by a hint; the poll is 10 s. */
const FAST_MS = long ? 800 : 2_500;
const RECOVERED_MS = 6_000;
const HOLD_MS = 1_200;
const LIMIT_MS = 120_000 + rounds * 60_000;

let rig: OutageRig;
let admin: Redis;
beforeAll(async () => {
  rig = await OutageRig.start({ seed, requestLimitMs: REQUEST_LIMIT_MS });
  admin = new Redis(rig.redis.url, { maxRetriesPerRequest: null });
  admin.on('error', () => undefined);
}, LIMIT_MS);
afterAll(async () => {
  admin?.disconnect();
  await rig?.stop();
}, LIMIT_MS);

interface Fault {
  readonly name: string;
  begin(): unknown;
  end(): unknown;
  readonly holdMs?: number;
  /** Only in the long version. */
  readonly seldom?: boolean;
}

const link = (name: string, trouble: Parameters<OutageRig['trouble']>[1], more: Partial<Fault> = {}): Fault => ({
  name,
  ...more,
  begin: () => rig.trouble('redis', trouble),
  end: () => rig.heal(),
});
const chance = (share: number): boolean => rig.random() < share;
const garble = (): Fate => {
  if (chance(0.9)) return 'pass';
  if (chance(0.3)) return 'drop';
  return chance(0.5) ? 'duplicate' : 'hold';
};
const redisSeenBy = async ({ process }: RigNode): Promise<unknown> => {
  const { body } = await call(process, await tokenFor('admin'), 'GET', '/api/agents/status');
  return (body.dependencies as { redis: { status: string } }).redis.status;
};
const bothSee = (state: 'up' | 'down') => async (): Promise<boolean> =>
  (await Promise.all(rig.nodes.map(redisSeenBy))).every((seen) => seen === state);

const FAULTS: readonly Fault[] = [
  {
    name: 'killed, and back empty',
    async begin() {
      await rig.redis.kill9();
      await eventually(bothSee('down'), 'both nodes to miss Redis');
    },
    async end() {
      await rig.redis.restart();
      await eventually(bothSee('up'), 'both nodes to find Redis');
    },
  },
  { name: 'frozen', begin: () => rig.redis.freeze(), end: () => rig.redis.thaw(), holdMs: 2_500, seldom: true },
  {
    name: 'flushed again and again',
    async begin() {
      for (let at = 0; at < 10; at++) await Promise.all([admin.flushall(), sleep(HOLD_MS / 10)]);
    },
    end: () => undefined,
    holdMs: 0,
  },
  link('slowed by 500 ms', { type: 'delay', ms: 500, way: 'down' }, { holdMs: 2_500 }),
  // Longer than a node gives a command (1 s).
  link('a black hole', { type: 'black-hole' }, { holdMs: 2_500 }),
  {
    name: 'out of memory',
    begin: () =>
      admin.config('SET', 'maxmemory-policy', 'noeviction').then(() => admin.config('SET', 'maxmemory', '1')),
    end: () => admin.config('SET', 'maxmemory', '0'),
  },
  {
    name: 'a read-only replica',
    begin: () => admin.replicaof('127.0.0.1', 1),
    end: () => admin.replicaof('NO', 'ONE'),
  },
  link('reset again and again', { type: 'reset' }, { seldom: true }),
  link('half open', { type: 'half-open' }),
  link('cut in the middle of a frame', { type: 'truncate', afterBytes: 100, way: 'down' }, { seldom: true }),
  link('throttled to 2 kB a second', { type: 'throttle', bytesPerS: 2_000 }, { seldom: true }),
  link('garbled', { type: 'plan', plan: garble }, { seldom: true }),
];

/** Each once in the order of the seed. */
const shuffled = (): Fault[] =>
  FAULTS.filter(({ seldom }) => long || !seldom)
    .map((fault) => ({ fault, at: rig.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ fault }) => fault);

test('whatever becomes of Redis, no task, event or durable message is lost and every request is answered', {
  timeout: LIMIT_MS,
}, async ({ onTestFailed }) => {
  onTestFailed(() => console.log(rig.output));
  const token = await tokenFor('viewer');
  const recoveries: Record<string, number> = {};
  await rig.recovery(FAST_MS);
  for (let round = 0; round < rounds; round++) {
    for (const { name, begin, end, holdMs = HOLD_MS } of shuffled()) {
      await begin();
      await Promise.all([rig.underLoad(), sleep(holdMs)]);
      for (const { process } of rig.nodes) expect((await call(process, token, 'GET', '/readyz')).status).toBe(200);
      await end();
      const recoveryMs = Math.round(await rig.recovery(FAST_MS));
      recoveries[name] = Math.max(recoveries[name] ?? 0, recoveryMs);
    }
  }
  console.log(JSON.stringify({ recoveries, ...(await rig.expectCleanBooks([])) }));
  // Where the machine is shared with other tests it says more about them.
  if (long) for (const [name, ms] of Object.entries(recoveries)) expect(ms, name).toBeLessThan(RECOVERED_MS);
});
