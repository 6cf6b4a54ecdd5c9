// kill -9 of nodes under runs of all seven patterns: each ends under its own contract, commits every step once, and its journal gives its
// state again. Short here; TROUPE_CHAOS_KILLS=40 (npm run chaos) is the long version, with two nodes too, of which some stand still until
// their lease is over before they die.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../kit/ambient.ts';
import { startNode } from '../kit/node-process.ts';
import { runPatternChaos } from '../kit/pattern-chaos.ts';
import { KINDS } from '../kit/pattern-runs.ts';
import { freshDatabase } from '../kit/services.ts';

const kills = Number(process.env.TROUPE_CHAOS_KILLS ?? 1);
const seed = Number(process.env.TROUPE_CHAOS_SEED ?? 0);
const long = kills > 2;
const LEASE_MS = 2_000;
const LIMIT_MS = 180_000 + kills * 60_000;
interface Place {
  readonly postgres: boolean;
  readonly places: number;
  /** Of its seed. */
  readonly base: number;
}
const clerk = fileURLToPath(new URL('../kit/agents/clerk.mjs', import.meta.url));
const TWO_NODES: [string, Place] = ['with two nodes on one PostgreSQL', { postgres: true, places: 2, base: 13 }];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-chaos-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('runs of every pattern under kill -9', () => {
  test.each<[string, Place]>([
    ['on the embedded database', { postgres: false, places: 1, base: 11 }],
    ['on PostgreSQL', { postgres: true, places: 1, base: 12 }],
    ...(long ? [TWO_NODES] : []),
  ])('end as their contracts say %s', { timeout: LIMIT_MS }, async (_name, { postgres, places, base }) => {
    const databaseUrl = postgres ? await freshDatabase() : undefined;
    const cluster = { TROUPE_LEASE_MS: String(LEASE_MS), TROUPE_POLL_MS: '200' };
    // A task is poison when what runs it dies again and again; here that is none of its doing.
    const env = { TROUPE_AGENTS: clerk, TROUPE_POISON_AFTER: '100', ...(postgres ? cluster : {}) };
    const dataDir = (place: number): string => join(folder, `node-${place}`);
    const database = databaseUrl === undefined ? {} : { databaseUrl };
    console.log(`seed ${seed + base}`);
    const report = await runPatternChaos({
      start: (place) => startNode({ dataDir: dataDir(place), ...database, env }),
      places,
      kills,
      random: seededRandom(seed + base),
      ...(places > 1 ? { freezeMs: LEASE_MS + 1_000 } : {}),
      file: join(folder, 'effects.jsonl'),
      database: { dataDir: dataDir(0), ...database },
      log: console.log,
    });
    console.log(JSON.stringify({ ...report, problems: report.problems.length }));
    expect(report.problems).toEqual([]);
    for (const { name } of KINDS) expect(report.hits[name], name).toBeGreaterThanOrEqual(kills);
  });
});
